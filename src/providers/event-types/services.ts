import { words, type KnownTypes } from "../known-types.ts";

export const services: Readonly<Record<string, KnownTypes>> = {
  ghost: {
    from: "https://docs.ghost.org/webhooks",
    whole: false,
    // Older versions do not name the event.
    others: /^(?:post|page|tag|member)$/,
    types: words(`
      site.changed post.added post.deleted post.edited post.published post.published.edited post.unpublished
      post.scheduled post.unscheduled post.rescheduled page.added page.deleted page.edited page.published
      page.published.edited page.unpublished page.scheduled page.unscheduled page.rescheduled tag.added
      tag.edited tag.deleted post.tag.attached post.tag.detached page.tag.attached page.tag.detached
      member.added member.edited member.deleted`),
  },
  cal: {
    from: "https://cal.com/docs/developing/guides/automation/webhooks",
    whole: false,
    types: words(`
      BOOKING_CREATED BOOKING_RESCHEDULED BOOKING_CANCELLED BOOKING_REJECTED BOOKING_REQUESTED
      BOOKING_PAYMENT_INITIATED BOOKING_PAID BOOKING_NO_SHOW_UPDATED MEETING_STARTED MEETING_ENDED
      RECORDING_READY RECORDING_TRANSCRIPTION_GENERATED INSTANT_MEETING FORM_SUBMITTED
      FORM_SUBMITTED_NO_EVENT OOO_CREATED AFTER_HOSTS_CAL_VIDEO_NO_SHOW AFTER_GUESTS_CAL_VIDEO_NO_SHOW`),
  },
  clerk: {
    from: "@clerk/backend 3.25.0",
    whole: true,
    types: words(`
      email.created organization.created organization.deleted organization.updated organizationDomain.created
      organizationDomain.deleted organizationDomain.updated organizationInvitation.accepted
      organizationInvitation.created organizationInvitation.revoked organizationMembership.created
      organizationMembership.deleted organizationMembership.updated paymentAttempt.created
      paymentAttempt.updated permission.created permission.deleted permission.updated role.created
      role.deleted role.updated session.created session.ended session.removed session.revoked sms.created
      subscription.active subscription.created subscription.pastDue subscription.updated
      subscriptionItem.abandoned subscriptionItem.active subscriptionItem.canceled subscriptionItem.created
      subscriptionItem.ended subscriptionItem.freeTrialEnding subscriptionItem.incomplete
      subscriptionItem.pastDue subscriptionItem.upcoming subscriptionItem.updated user.created user.deleted
      user.updated waitlistEntry.created waitlistEntry.updated`),
  },
  workos: {
    from: "@workos-inc/node 11.0.0",
    whole: true,
    types: words(`
      api_key.created api_key.revoked authentication.email_verification_succeeded
      authentication.magic_auth_failed authentication.magic_auth_succeeded authentication.mfa_succeeded
      authentication.oauth_failed authentication.oauth_succeeded authentication.passkey_failed
      authentication.passkey_succeeded authentication.password_failed authentication.password_succeeded
      authentication.radar_risk_detected authentication.sso_failed authentication.sso_started
      authentication.sso_succeeded authentication.sso_timed_out connection.activated connection.deactivated
      connection.deleted connection.saml_certificate_renewal_required connection.saml_certificate_renewed
      dsync.activated dsync.deleted dsync.group.created dsync.group.deleted dsync.group.updated
      dsync.group.user_added dsync.group.user_removed dsync.user.created dsync.user.deleted dsync.user.updated
      email_verification.created flag.created flag.deleted flag.rule_updated flag.updated group.created
      group.deleted group.member_added group.member_removed group.updated invitation.accepted
      invitation.created invitation.resent invitation.revoked magic_auth.created organization.created
      organization.deleted organization.updated organization_domain.created organization_domain.deleted
      organization_domain.updated organization_domain.verification_failed organization_domain.verified
      organization_membership.created organization_membership.deleted organization_membership.updated
      organization_role.created organization_role.deleted organization_role.updated password_reset.created
      password_reset.succeeded permission.created permission.deleted permission.updated
      pipes.connected_account.connected pipes.connected_account.connection_failed
      pipes.connected_account.disconnected pipes.connected_account.reauthorization_needed role.created
      role.deleted role.updated session.created session.revoked user.created user.deleted user.updated
      vault.byok_key.verification_completed vault.data.created vault.data.deleted vault.data.read
      vault.data.updated vault.dek.decrypted vault.dek.read vault.kek.created vault.metadata.read
      vault.names.listed waitlist_user.approved waitlist_user.created waitlist_user.denied`),
  },
  notion: {
    from: "@notionhq/client 5.26.0",
    whole: true,
    types: words(`
      comment.created comment.deleted comment.updated data_source.content_updated data_source.created
      data_source.deleted data_source.moved data_source.schema_updated data_source.undeleted
      database.content_updated database.created database.deleted database.moved database.schema_updated
      database.undeleted file_upload.completed file_upload.created file_upload.expired
      file_upload.upload_failed page.content_updated page.created page.deleted page.locked page.moved
      page.properties_updated page.transcription_block.transcript_deleted page.undeleted page.unlocked
      view.created view.deleted view.updated`),
  },
  openai: {
    from: "openai 7.57.0",
    whole: true,
    types: words(`
      agent.environment.expired agent.environment.failed agent.environment.ready agent.environment.suspended
      agent.session.action_required agent.session.created agent.session.failed agent.session.idle
      agent.session.in_progress batch.cancelled batch.completed batch.expired batch.failed eval.run.canceled
      eval.run.failed eval.run.succeeded fine_tuning.job.cancelled fine_tuning.job.failed
      fine_tuning.job.succeeded live.call.incoming live.transport.connected live.transport.incoming
      realtime.call.incoming response.cancelled response.completed response.failed response.incomplete
      safety.alert.created safety.deactivation_issued safety.org_alert.created safety.warning_issued
      video.completed video.failed webhook_endpoint.deleted webhook_endpoint.test`),
  },
};
