import { words, type KnownTypes } from "../known-types.ts";

export const commerce: Readonly<Record<string, KnownTypes>> = {
  braintree: {
    from: "https://developer.paypal.com/braintree/docs/reference/general/webhooks",
    whole: true,
    types: words(`
      account_updater_daily_report connected_merchant_paypal_status_changed
      connected_merchant_status_transitioned disbursement dispute_accepted dispute_auto_accepted
      dispute_disputed dispute_expired dispute_lost dispute_opened dispute_under_review dispute_won
      granted_payment_instrument_update granted_payment_method_revoked
      grantor_updated_granted_payment_method local_payment_completed local_payment_expired
      local_payment_funded local_payment_reversed oauth_access_revoked partner_merchant_connected
      partner_merchant_declined partner_merchant_disconnected payment_method_customer_data_updated
      payment_method_revoked_by_customer recipient_updated_granted_payment_method refund_failed
      subscription_billing_skipped subscription_canceled subscription_charged_successfully
      subscription_charged_unsuccessfully subscription_expired subscription_trial_ended
      subscription_went_active subscription_went_past_due transaction_disbursed transaction_retried
      transaction_reviewed transaction_settled transaction_settlement_declined`),
  },
  shopify: {
    from: "https://shopify.dev/docs/api/webhooks",
    whole: false,
    types: words(`
      app/uninstalled app_subscriptions/update bulk_operations/finish carts/create carts/update
      checkouts/create checkouts/delete checkouts/update collection_listings/add collection_listings/remove
      collection_listings/update collections/create collections/delete collections/update
      customer_payment_methods/create customer_payment_methods/revoke customer_payment_methods/update
      customers/create customers/delete customers/disable customers/enable customers/update
      customers_marketing_consent/update disputes/create disputes/update domains/create domains/destroy
      domains/update draft_orders/create draft_orders/delete draft_orders/update fulfillment_events/create
      fulfillment_events/delete fulfillment_orders/cancellation_request_accepted
      fulfillment_orders/cancellation_request_rejected fulfillment_orders/cancellation_request_submitted
      fulfillment_orders/cancelled fulfillment_orders/fulfillment_request_accepted
      fulfillment_orders/fulfillment_request_rejected fulfillment_orders/fulfillment_request_submitted
      fulfillment_orders/fulfillment_service_failed_to_complete fulfillment_orders/hold_released
      fulfillment_orders/line_items_prepared_for_local_delivery
      fulfillment_orders/line_items_prepared_for_pickup fulfillment_orders/moved
      fulfillment_orders/order_routing_complete fulfillment_orders/placed_on_hold
      fulfillment_orders/rescheduled fulfillment_orders/scheduled_fulfillment_order_ready fulfillments/create
      fulfillments/update inventory_items/create inventory_items/delete inventory_items/update
      inventory_levels/connect inventory_levels/disconnect inventory_levels/update locales/create
      locales/update locations/activate locations/create locations/deactivate locations/delete
      locations/update markets/create markets/delete markets/update order_transactions/create orders/cancelled
      orders/create orders/delete orders/edited orders/fulfilled orders/paid orders/partially_fulfilled
      orders/updated payment_schedules/due product_listings/add product_listings/remove
      product_listings/update products/create products/delete products/update profiles/create profiles/delete
      profiles/update refunds/create scheduled_product_listings/add scheduled_product_listings/remove
      scheduled_product_listings/update selling_plan_groups/create selling_plan_groups/delete
      selling_plan_groups/update shop/update subscription_billing_attempts/challenged
      subscription_billing_attempts/failure subscription_billing_attempts/success
      subscription_billing_cycle_edits/create subscription_billing_cycle_edits/delete
      subscription_billing_cycle_edits/update subscription_contracts/create subscription_contracts/update
      tender_transactions/create themes/create themes/delete themes/publish themes/update`),
  },
};
