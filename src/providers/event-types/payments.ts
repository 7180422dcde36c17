import { words, type KnownTypes } from "../known-types.ts";

export const payments: Readonly<Record<string, KnownTypes>> = {
  btcpay: {
    from: "https://docs.btcpayserver.org/API/Greenfield/v1/#tag/Webhooks",
    whole: false,
    types: words(`
      InvoiceCreated InvoiceReceivedPayment InvoiceProcessing InvoiceExpired InvoiceExpiredPaidPartial
      InvoicePaidAfterExpiration InvoiceSettled InvoiceInvalid InvoicePaymentSettled PayoutCreated
      PayoutApproved PayoutUpdated PaymentRequestCreated PaymentRequestUpdated PaymentRequestArchived
      PaymentRequestStatusChanged PaymentRequestCompleted`),
  },
  revenuecat: {
    from: "https://www.revenuecat.com/docs/integrations/webhooks/event-types-and-fields",
    whole: false,
    types: words(`
      TEST INITIAL_PURCHASE RENEWAL CANCELLATION UNCANCELLATION NON_RENEWING_PURCHASE SUBSCRIPTION_PAUSED
      EXPIRATION BILLING_ISSUE PRODUCT_CHANGE TRANSFER SUBSCRIPTION_EXTENDED TEMPORARY_ENTITLEMENT_GRANT
      REFUND_REVERSED INVOICE_ISSUANCE VIRTUAL_CURRENCY_TRANSACTION EXPERIMENT_ENROLLMENT`),
  },
  stripe: {
    from: "stripe 23.1.0",
    whole: true,
    others: /^v[12]\./,
    types: words(`
      account.application.authorized account.application.deauthorized account.external_account.created
      account.external_account.deleted account.external_account.updated account.updated
      application_fee.created application_fee.refund.updated application_fee.refunded apps.install.created
      apps.install.deleted apps.install.updated balance.available balance_settings.updated
      billing.alert.triggered billing.credit_balance_transaction.created billing.credit_grant.created
      billing.credit_grant.updated billing.meter.created billing.meter.deactivated billing.meter.reactivated
      billing.meter.updated billing_portal.configuration.created billing_portal.configuration.updated
      billing_portal.session.created capability.updated cash_balance.funds_available charge.captured
      charge.dispute.closed charge.dispute.created charge.dispute.funds_reinstated
      charge.dispute.funds_withdrawn charge.dispute.updated charge.expired charge.failed charge.pending
      charge.refund.updated charge.refunded charge.succeeded charge.updated
      checkout.session.async_payment_failed checkout.session.async_payment_succeeded
      checkout.session.completed checkout.session.expired climate.order.canceled climate.order.created
      climate.order.delayed climate.order.delivered climate.order.product_substituted climate.product.created
      climate.product.pricing_updated coupon.created coupon.deleted coupon.updated credit_note.created
      credit_note.updated credit_note.voided customer.created customer.deleted customer.discount.created
      customer.discount.deleted customer.discount.updated customer.source.created customer.source.deleted
      customer.source.expiring customer.source.updated customer.subscription.created
      customer.subscription.deleted customer.subscription.paused customer.subscription.pending_update_applied
      customer.subscription.pending_update_expired customer.subscription.resumed
      customer.subscription.trial_will_end customer.subscription.updated customer.tax_id.created
      customer.tax_id.deleted customer.tax_id.updated customer.updated
      customer_cash_balance_transaction.created entitlements.active_entitlement_summary.updated file.created
      financial_connections.account.account_numbers_updated financial_connections.account.created
      financial_connections.account.deactivated financial_connections.account.disconnected
      financial_connections.account.expected_deactivation_date_updated
      financial_connections.account.reactivated financial_connections.account.refreshed_balance
      financial_connections.account.refreshed_ownership financial_connections.account.refreshed_transactions
      financial_connections.account.supported_payment_method_types_updated
      financial_connections.account.upcoming_account_number_expiry
      financial_connections.account.upcoming_deactivation
      financial_connections.authorization.expected_deactivation_date_updated
      financial_connections.authorization.upcoming_deactivation identity.verification_session.canceled
      identity.verification_session.created identity.verification_session.processing
      identity.verification_session.redacted identity.verification_session.requires_input
      identity.verification_session.verified invoice.created invoice.deleted invoice.finalization_failed
      invoice.finalized invoice.marked_uncollectible invoice.overdue invoice.overpaid invoice.paid
      invoice.payment_action_required invoice.payment_attempt_required invoice.payment_failed
      invoice.payment_succeeded invoice.sent invoice.upcoming invoice.updated invoice.voided
      invoice.will_be_due invoice_payment.paid invoiceitem.created invoiceitem.deleted
      issuing_authorization.created issuing_authorization.request issuing_authorization.updated
      issuing_card.created issuing_card.updated issuing_cardholder.created issuing_cardholder.updated
      issuing_dispute.closed issuing_dispute.created issuing_dispute.funds_reinstated
      issuing_dispute.funds_rescinded issuing_dispute.submitted issuing_dispute.updated
      issuing_personalization_design.activated issuing_personalization_design.deactivated
      issuing_personalization_design.rejected issuing_personalization_design.updated issuing_token.created
      issuing_token.updated issuing_transaction.created issuing_transaction.purchase_details_receipt_updated
      issuing_transaction.updated mandate.updated payment_intent.amount_capturable_updated
      payment_intent.canceled payment_intent.created payment_intent.partially_funded
      payment_intent.payment_failed payment_intent.processing payment_intent.requires_action
      payment_intent.succeeded payment_link.created payment_link.updated payment_method.attached
      payment_method.automatically_updated payment_method.detached payment_method.updated payout.canceled
      payout.created payout.failed payout.paid payout.reconciliation_completed payout.updated person.created
      person.deleted person.updated plan.created plan.deleted plan.updated price.created price.deleted
      price.updated product.created product.deleted product.updated promotion_code.created
      promotion_code.updated quote.accepted quote.canceled quote.created quote.finalized
      radar.early_fraud_warning.created radar.early_fraud_warning.updated refund.created refund.failed
      refund.updated reporting.report_run.failed reporting.report_run.succeeded reporting.report_type.updated
      reserve.hold.created reserve.hold.updated reserve.plan.created reserve.plan.disabled
      reserve.plan.expired reserve.plan.updated reserve.release.created review.closed review.opened
      setup_intent.canceled setup_intent.created setup_intent.requires_action setup_intent.setup_failed
      setup_intent.succeeded sigma.scheduled_query_run.created source.canceled source.chargeable source.failed
      source.mandate_notification source.refund_attributes_required source.transaction.created
      source.transaction.updated subscription_schedule.aborted subscription_schedule.canceled
      subscription_schedule.completed subscription_schedule.created subscription_schedule.expiring
      subscription_schedule.released subscription_schedule.updated tax.settings.updated tax_rate.created
      tax_rate.updated terminal.reader.action_failed terminal.reader.action_succeeded
      terminal.reader.action_updated test_helpers.test_clock.advancing test_helpers.test_clock.created
      test_helpers.test_clock.deleted test_helpers.test_clock.internal_failure test_helpers.test_clock.ready
      three_d_secure.authentication.canceled three_d_secure.authentication.challenge_started
      three_d_secure.authentication.errored three_d_secure.authentication.failed
      three_d_secure.authentication.requires_challenge three_d_secure.authentication.requires_submission
      three_d_secure.authentication.succeeded topup.canceled topup.created topup.failed topup.reversed
      topup.succeeded transfer.created transfer.reversed transfer.updated treasury.credit_reversal.created
      treasury.credit_reversal.posted treasury.debit_reversal.completed treasury.debit_reversal.created
      treasury.debit_reversal.initial_credit_granted treasury.financial_account.closed
      treasury.financial_account.created treasury.financial_account.features_status_updated
      treasury.inbound_transfer.canceled treasury.inbound_transfer.created treasury.inbound_transfer.failed
      treasury.inbound_transfer.succeeded treasury.outbound_payment.canceled treasury.outbound_payment.created
      treasury.outbound_payment.expected_arrival_date_updated treasury.outbound_payment.failed
      treasury.outbound_payment.posted treasury.outbound_payment.returned
      treasury.outbound_payment.tracking_details_updated treasury.outbound_transfer.canceled
      treasury.outbound_transfer.created treasury.outbound_transfer.expected_arrival_date_updated
      treasury.outbound_transfer.failed treasury.outbound_transfer.posted treasury.outbound_transfer.returned
      treasury.outbound_transfer.tracking_details_updated treasury.received_credit.created
      treasury.received_credit.failed treasury.received_credit.succeeded treasury.received_debit.created`),
  },
  razorpay: {
    from: "https://github.com/razorpay/markdown-docs/blob/master/webhooks/all.md",
    whole: true,
    types: words(`
      account.app.authorization_revoked fund_account.validation.completed fund_account.validation.failed
      invoice.expired invoice.paid invoice.partially_paid order.paid payment.authorized payment.captured
      payment.dispute.action_required payment.dispute.closed payment.dispute.created payment.dispute.lost
      payment.dispute.under_review payment.dispute.won payment.downtime.resolved payment.downtime.started
      payment.downtime.updated payment.failed payment_link.cancelled payment_link.expired payment_link.paid
      payment_link.partially_paid payout.downtime.resolved payout.downtime.started payout.failed
      payout.initiated payout.pending payout.processed payout.queued payout.rejected payout.reversed
      payout.updated payout_link.attempted payout_link.cancelled payout_link.expired payout_link.issued
      payout_link.pending payout_link.processed payout_link.processing payout_link.rejected
      product.route.activated product.route.needs_clarification product.route.under_review qr_code.closed
      qr_code.created qr_code.credited refund.created refund.failed refund.processed refund.speed_changed
      settlement.processed subscription.activated subscription.authenticated subscription.cancelled
      subscription.charged subscription.completed subscription.halted subscription.paused subscription.pending
      subscription.resumed subscription.updated transaction.created transfer.failed transfer.processed
      virtual_account.closed virtual_account.created virtual_account.credited`),
  },
  paddle: {
    from: "@paddle/paddle-node-sdk 3.10.0",
    whole: true,
    types: words(`
      address.created address.imported address.updated adjustment.created adjustment.updated api_key.created
      api_key.expired api_key.expiring api_key.revoked api_key.updated api_key_exposure.created
      business.created business.imported business.updated client_token.created client_token.revoked
      client_token.updated customer.created customer.imported customer.updated discount.created
      discount.imported discount.updated discount_group.created discount_group.updated payment_method.deleted
      payment_method.saved payout.created payout.paid price.created price.imported price.updated
      product.created product.imported product.updated report.created report.updated subscription.activated
      subscription.canceled subscription.created subscription.imported subscription.past_due
      subscription.paused subscription.resumed subscription.trialing subscription.updated transaction.billed
      transaction.canceled transaction.completed transaction.created transaction.paid transaction.past_due
      transaction.payment_failed transaction.ready transaction.revised transaction.updated`),
  },
  "lemon-squeezy": {
    from: "https://github.com/lmsqueezy/lemonsqueezy.js",
    whole: true,
    types: words(`
      license_key_created license_key_updated order_created order_refunded subscription_cancelled
      subscription_created subscription_expired subscription_paused subscription_payment_failed
      subscription_payment_recovered subscription_payment_refunded subscription_payment_success
      subscription_resumed subscription_unpaused subscription_updated`),
  },
  square: {
    from: "square 46.0.0",
    whole: false,
    types: words(`
      bank_account.created bank_account.disabled bank_account.verified booking.created
      booking.custom_attribute.owned.deleted booking.custom_attribute.owned.updated
      booking.custom_attribute.visible.deleted booking.custom_attribute.visible.updated
      booking.custom_attribute_definition.owned.created booking.custom_attribute_definition.owned.deleted
      booking.custom_attribute_definition.owned.updated booking.custom_attribute_definition.visible.created
      booking.custom_attribute_definition.visible.deleted booking.custom_attribute_definition.visible.updated
      booking.updated card.automatically_updated card.created card.disabled card.forgotten card.updated
      customer.created customer.custom_attribute.deleted customer.custom_attribute.owned.deleted
      customer.custom_attribute.owned.updated customer.custom_attribute.public.deleted
      customer.custom_attribute.public.updated customer.custom_attribute.updated
      customer.custom_attribute.visible.deleted customer.custom_attribute.visible.updated
      customer.custom_attribute_definition.created customer.custom_attribute_definition.deleted
      customer.custom_attribute_definition.owned.created customer.custom_attribute_definition.owned.deleted
      customer.custom_attribute_definition.owned.updated customer.custom_attribute_definition.public.created
      customer.custom_attribute_definition.public.deleted customer.custom_attribute_definition.public.updated
      customer.custom_attribute_definition.updated customer.custom_attribute_definition.visible.created
      customer.custom_attribute_definition.visible.deleted
      customer.custom_attribute_definition.visible.updated customer.deleted customer.updated
      device.code.paired device.created gift_card.activity.created gift_card.activity.updated
      gift_card.created gift_card.customer_linked gift_card.customer_unlinked gift_card.updated
      invoice.canceled invoice.created invoice.deleted invoice.payment_made invoice.published invoice.refunded
      invoice.scheduled_charge_failed invoice.updated job.created job.updated labor.scheduled_shift.created
      labor.scheduled_shift.deleted labor.scheduled_shift.published labor.scheduled_shift.updated
      labor.shift.created labor.shift.deleted labor.shift.updated labor.timecard.created
      labor.timecard.deleted labor.timecard.updated location.created location.custom_attribute.owned.deleted
      location.custom_attribute.owned.updated location.custom_attribute.visible.deleted
      location.custom_attribute.visible.updated location.custom_attribute_definition.owned.created
      location.custom_attribute_definition.owned.deleted location.custom_attribute_definition.owned.updated
      location.custom_attribute_definition.visible.created
      location.custom_attribute_definition.visible.deleted
      location.custom_attribute_definition.visible.updated location.updated loyalty.account.created
      loyalty.account.deleted loyalty.account.updated loyalty.event.created loyalty.program.created
      loyalty.program.updated loyalty.promotion.created loyalty.promotion.updated
      merchant.custom_attribute.owned.deleted merchant.custom_attribute.owned.updated
      merchant.custom_attribute.visible.deleted merchant.custom_attribute.visible.updated
      merchant.custom_attribute_definition.owned.created merchant.custom_attribute_definition.owned.deleted
      merchant.custom_attribute_definition.owned.updated merchant.custom_attribute_definition.visible.created
      merchant.custom_attribute_definition.visible.deleted
      merchant.custom_attribute_definition.visible.updated oauth.authorization.revoked
      online_checkout.location_settings.updated online_checkout.merchant_settings.updated order.created
      order.custom_attribute.owned.deleted order.custom_attribute.owned.updated
      order.custom_attribute.visible.deleted order.custom_attribute.visible.updated
      order.custom_attribute_definition.owned.created order.custom_attribute_definition.owned.deleted
      order.custom_attribute_definition.owned.updated order.custom_attribute_definition.visible.created
      order.custom_attribute_definition.visible.deleted order.custom_attribute_definition.visible.updated
      order.fulfillment.updated order.updated payment.created payment.updated payout.failed payout.paid
      payout.sent refund.created refund.updated subscription.created subscription.updated team_member.created
      team_member.updated team_member.wage_setting.updated terminal.action.created terminal.action.updated
      terminal.checkout.created terminal.checkout.updated terminal.refund.created terminal.refund.updated
      transfer_order.created transfer_order.deleted transfer_order.updated vendor.created vendor.updated`),
  },
  mollie: {
    from: "mollie-api-typescript 1.12.28",
    whole: true,
    types: words(`
      balance-transaction.created business-account-transfer.blocked business-account-transfer.failed
      business-account-transfer.initiated business-account-transfer.pending-review
      business-account-transfer.processed business-account-transfer.requested
      business-account-transfer.returned capture.failed capture.succeeded chargeback.received
      chargeback.reversed payment-link.paid payment.authorized payment.canceled payment.expired payment.failed
      payment.paid payment.pending payout.canceled payout.completed payout.failed payout.initiated
      payout.processing-at-bank refund.canceled refund.failed refund.pending refund.processing refund.queued
      refund.refunded sales-invoice.canceled sales-invoice.created sales-invoice.e-invoice-failed
      sales-invoice.e-invoice-issued sales-invoice.issued sales-invoice.paid`),
  },
  polar: {
    from: "@polar-sh/sdk 1.0.1",
    whole: true,
    types: words(`
      benefit.created benefit.updated benefit_grant.created benefit_grant.cycled benefit_grant.revoked
      benefit_grant.updated checkout.created checkout.expired checkout.updated customer.created
      customer.deleted customer.state_changed customer.updated customer_seat.assigned customer_seat.claimed
      customer_seat.revoked discount.created discount.deleted discount.updated member.created member.deleted
      member.updated order.created order.paid order.refunded order.updated organization.updated
      product.created product.updated refund.created refund.updated subscription.active subscription.canceled
      subscription.created subscription.cycled subscription.migrated subscription.past_due subscription.paused
      subscription.resumed subscription.revoked subscription.uncanceled subscription.updated`),
  },
  adyen: {
    from: "@adyen/api-library 32.1.0",
    whole: true,
    types: words(`
      AUTHORISATION AUTHORISATION_ADJUSTMENT AUTORESCUE CANCELLATION CANCEL_AUTORESCUE CANCEL_OR_REFUND
      CAPTURE CAPTURE_FAILED CHARGEBACK CHARGEBACK_REVERSED DISPUTE_DEFENSE_PERIOD_ENDED DONATION EXPIRE
      HANDLED_EXTERNALLY INFORMATION_SUPPLIED ISSUER_COMMENTS ISSUER_RESPONSE_TIMEFRAME_EXPIRED
      MANUAL_REVIEW_ACCEPT MANUAL_REVIEW_REJECT NOTIFICATION_OF_CHARGEBACK NOTIFICATION_OF_FRAUD OFFER_CLOSED
      ORDER_CLOSED ORDER_OPENED PAIDOUT_REVERSED PAYOUT_DECLINE PAYOUT_EXPIRE PAYOUT_THIRDPARTY PENDING
      POSTPONED_REFUND PREARBITRATION_LOST PREARBITRATION_WON PROCESS_RETRY RECURRING_CONTRACT REFUND
      REFUNDED_REVERSED REFUND_FAILED REFUND_WITH_DATA REPORT_AVAILABLE REQUEST_FOR_INFORMATION
      SECOND_CHARGEBACK TECHNICAL_CANCEL VOID_PENDING_REFUND`),
  },
  paypal: {
    from: "https://developer.paypal.com/api/rest/webhooks/event-names/",
    whole: false,
    types: words(`
      BILLING.PLAN.ACTIVATED BILLING.PLAN.CREATED BILLING.PLAN.DEACTIVATED
      BILLING.PLAN.PRICING-CHANGE.ACTIVATED BILLING.PLAN.UPDATED BILLING.SUBSCRIPTION.ACTIVATED
      BILLING.SUBSCRIPTION.CANCELLED BILLING.SUBSCRIPTION.CREATED BILLING.SUBSCRIPTION.EXPIRED
      BILLING.SUBSCRIPTION.PAYMENT.FAILED BILLING.SUBSCRIPTION.SUSPENDED BILLING.SUBSCRIPTION.UPDATED
      CATALOG.PRODUCT.CREATED CATALOG.PRODUCT.UPDATED CHECKOUT.ORDER.APPROVED
      CHECKOUT.PAYMENT-APPROVAL.REVERSED CUSTOMER.DISPUTE.CREATED CUSTOMER.DISPUTE.RESOLVED
      INVOICING.INVOICE.CANCELLED INVOICING.INVOICE.CREATED INVOICING.INVOICE.PAID INVOICING.INVOICE.REFUNDED
      INVOICING.INVOICE.SCHEDULED INVOICING.INVOICE.UPDATED PAYMENT.AUTHORIZATION.CREATED
      PAYMENT.AUTHORIZATION.VOIDED PAYMENT.CAPTURE.COMPLETED PAYMENT.CAPTURE.DECLINED PAYMENT.CAPTURE.DENIED
      PAYMENT.CAPTURE.PENDING PAYMENT.CAPTURE.REFUNDED PAYMENT.CAPTURE.REVERSED PAYMENT.SALE.COMPLETED
      PAYMENT.SALE.REFUNDED PAYMENT.SALE.REVERSED`),
  },
};
