import { words, type KnownTypes } from "../known-types.ts";

export const messaging: Readonly<Record<string, KnownTypes>> = {
  twitch: {
    from: "https://dev.twitch.tv/docs/eventsub/eventsub-subscription-types/",
    whole: false,
    others: /^revocation(?:\.|$)/,
    types: words(`
      automod.message.hold automod.message.update automod.settings.update automod.terms.update
      channel.ad_break.begin channel.ban channel.bits.use
      channel.channel_points_automatic_reward_redemption.add channel.channel_points_custom_reward.add
      channel.channel_points_custom_reward.remove channel.channel_points_custom_reward.update
      channel.channel_points_custom_reward_redemption.add
      channel.channel_points_custom_reward_redemption.update channel.charity_campaign.donate
      channel.charity_campaign.progress channel.charity_campaign.start channel.charity_campaign.stop
      channel.chat.clear channel.chat.clear_user_messages channel.chat.message channel.chat.message_delete
      channel.chat.notification channel.chat.user_message_hold channel.chat.user_message_update
      channel.chat_settings.update channel.cheer channel.follow channel.goal.begin channel.goal.end
      channel.goal.progress channel.guest_star_guest.update channel.guest_star_session.begin
      channel.guest_star_session.end channel.guest_star_settings.update channel.hype_train.begin
      channel.hype_train.end channel.hype_train.progress channel.moderate channel.moderator.add
      channel.moderator.remove channel.poll.begin channel.poll.end channel.poll.progress
      channel.prediction.begin channel.prediction.end channel.prediction.lock channel.prediction.progress
      channel.raid channel.shared_chat.begin channel.shared_chat.end channel.shared_chat.update
      channel.shield_mode.begin channel.shield_mode.end channel.shoutout.create channel.shoutout.receive
      channel.subscribe channel.subscription.end channel.subscription.gift channel.subscription.message
      channel.suspicious_user.message channel.suspicious_user.update channel.unban
      channel.unban_request.create channel.unban_request.resolve channel.update channel.vip.add
      channel.vip.remove channel.warning.acknowledge channel.warning.send conduit.shard.disabled
      drop.entitlement.grant extension.bits_transaction.create stream.offline stream.online
      user.authorization.grant user.authorization.revoke user.update user.whisper.message`).map(
      (type) => `notification.${type}`,
    ),
  },
  slack: {
    from: "@slack/types 3.2.0",
    whole: false,
    types: words(`
      agent_session_stopped agent_session_title_changed app_context_changed app_deleted app_home_opened
      app_installed app_mention app_rate_limited app_requested app_uninstalled app_uninstalled_team
      assistant_thread_context_changed assistant_thread_started call_rejected channel_archive channel_created
      channel_deleted channel_history_changed channel_id_changed channel_left channel_rename channel_shared
      channel_unarchive channel_unshared dnd_updated dnd_updated_user email_domain_changed emoji_changed
      entity_details_requested file_change file_comment_deleted file_created file_deleted file_public
      file_shared file_unshared function_executed grid_migration_finished grid_migration_started group_archive
      group_close group_deleted group_history_changed group_left group_open group_rename group_unarchive
      im_close im_created im_history_changed im_open invite_requested link_shared member_joined_channel
      member_left_channel message message_metadata_deleted message_metadata_posted message_metadata_updated
      pin_added pin_removed reaction_added reaction_removed shared_channel_invite_accepted
      shared_channel_invite_approved shared_channel_invite_declined shared_channel_invite_received
      shared_channel_invite_requested star_added star_removed subteam_created subteam_members_changed
      subteam_self_added subteam_self_removed subteam_updated team_access_granted team_access_revoked
      team_domain_change team_join team_rename tokens_revoked user_change user_huddle_changed
      user_profile_changed user_status_changed workflow_deleted workflow_published workflow_step_deleted
      workflow_step_execute workflow_unpublished`),
  },
  discord: {
    from: "discord-interactions 4.4.0",
    whole: true,
    types: words(`
      APPLICATION_AUTHORIZED APPLICATION_DEAUTHORIZED ENTITLEMENT_CREATE GAME_DIRECT_MESSAGE_CREATE
      GAME_DIRECT_MESSAGE_DELETE GAME_DIRECT_MESSAGE_UPDATE LOBBY_MESSAGE_CREATE LOBBY_MESSAGE_DELETE
      LOBBY_MESSAGE_UPDATE QUEST_USER_ENROLLMENT`),
  },
  zoom: {
    from: "@zoom/rivet 0.4.0",
    whole: false,
    types: words(`
      account.created account.disassociated account.lock_settings_updated account.settings_updated
      account.updated account.vanity_url_approved account.vanity_url_rejected
      app.authorization_request_created app_deauthorized bot_installed bot_notification chat_channel.created
      chat_channel.deleted chat_channel.member_invited chat_channel.member_joined chat_channel.member_left
      chat_channel.member_removed chat_channel.updated chat_message.deleted chat_message.replied
      chat_message.sent chat_message.updated group.admin_added group.admin_deleted group.created group.deleted
      group.lock_settings_updated group.member_added group.member_deleted group.settings_updated group.updated
      information_barriers.policy_created information_barriers.policy_deleted
      information_barriers.policy_updated interactive_message_actions interactive_message_editable
      interactive_message_fields_editable interactive_message_select meeting.alert
      meeting.breakout_room_sharing_ended meeting.breakout_room_sharing_started
      meeting.chat_message_file_downloaded meeting.chat_message_file_sent meeting.chat_message_sent
      meeting.converted_to_webinar meeting.created meeting.deleted meeting.device_tested meeting.ended
      meeting.invitation_accepted meeting.invitation_dispatched meeting.invitation_rejected
      meeting.invitation_timeout meeting.live_streaming_started meeting.live_streaming_stopped
      meeting.participant_admitted meeting.participant_bind meeting.participant_feedback
      meeting.participant_jbh_joined meeting.participant_jbh_waiting meeting.participant_jbh_waiting_left
      meeting.participant_joined meeting.participant_joined_breakout_room
      meeting.participant_joined_waiting_room meeting.participant_left meeting.participant_left_breakout_room
      meeting.participant_left_waiting_room meeting.participant_phone_callout_accepted
      meeting.participant_phone_callout_missed meeting.participant_phone_callout_rejected
      meeting.participant_phone_callout_ringing meeting.participant_put_in_waiting_room
      meeting.participant_role_changed meeting.participant_room_system_callout_accepted
      meeting.participant_room_system_callout_failed meeting.participant_room_system_callout_missed
      meeting.participant_room_system_callout_rejected meeting.participant_room_system_callout_ringing
      meeting.permanently_deleted meeting.recovered meeting.registration_approved
      meeting.registration_cancelled meeting.registration_created meeting.registration_denied
      meeting.risk_alert meeting.sharing_ended meeting.sharing_started meeting.started
      meeting.summary_completed meeting.summary_deleted meeting.summary_recovered meeting.summary_shared
      meeting.summary_trashed meeting.summary_updated meeting.updated phone.account_settings_updated
      phone.ai_call_summary_changed phone.blind_transfer_initiated phone.call_history_deleted
      phone.call_log_deleted phone.call_log_permanently_deleted phone.callee_answered
      phone.callee_call_history_completed phone.callee_call_log_completed phone.callee_ended phone.callee_hold
      phone.callee_meeting_inviting phone.callee_missed phone.callee_mute phone.callee_parked
      phone.callee_rejected phone.callee_ringing phone.callee_unhold phone.callee_unmute
      phone.caller_call_history_completed phone.caller_call_log_completed phone.caller_connected
      phone.caller_ended phone.caller_hold phone.caller_meeting_inviting phone.caller_mute
      phone.caller_ringing phone.caller_unhold phone.caller_unmute phone.conference_started
      phone.device_registration phone.emergency_alert phone.generic_device_provision
      phone.group_settings_updated phone.peering_number_cnam_updated
      phone.peering_number_emergency_address_updated phone.recording_completed
      phone.recording_completed_for_access_member phone.recording_deleted phone.recording_failed
      phone.recording_paused phone.recording_permanently_deleted phone.recording_resumed
      phone.recording_started phone.recording_stopped phone.recording_transcript_completed
      phone.sms_campaign_number_opt_in phone.sms_campaign_number_opt_out phone.sms_etiquette_block
      phone.sms_etiquette_warn phone.sms_received phone.sms_sent phone.sms_sent_failed
      phone.transfer_call_to_voicemail_initiated phone.voicemail_deleted phone.voicemail_permanently_deleted
      phone.voicemail_received phone.voicemail_received_for_access_member phone.voicemail_transcript_completed
      recording.archive_files_completed recording.batch_deleted recording.batch_recovered
      recording.batch_trashed recording.cloud_storage_usage_updated recording.completed recording.deleted
      recording.paused recording.recovered recording.registration_approved recording.registration_created
      recording.registration_denied recording.renamed recording.resumed recording.started recording.stopped
      recording.transcript_completed recording.trashed session.alert session.ended
      session.live_streaming_started session.live_streaming_stopped session.recording_completed
      session.recording_deleted session.recording_paused session.recording_recovered session.recording_resumed
      session.recording_started session.recording_stopped session.recording_summary_completed
      session.recording_transcript_completed session.recording_transcript_failed session.recording_trashed
      session.sharing_ended session.sharing_started session.started session.stream_ingestion_connected
      session.stream_ingestion_disconnected session.stream_ingestion_started session.stream_ingestion_stopped
      session.stream_ingestion_unbind session.user_joined session.user_left
      session.user_phone_callout_accepted session.user_phone_callout_canceled
      session.user_phone_callout_missed session.user_phone_callout_rejected session.user_phone_callout_ringing
      session.user_room_system_callout_accepted session.user_room_system_callout_failed
      session.user_room_system_callout_missed session.user_room_system_callout_rejected
      session.user_room_system_callout_ringing team_chat.bookmark_added team_chat.bookmark_removed
      team_chat.channel_app_added team_chat.channel_app_removed team_chat.channel_archived
      team_chat.channel_invitation_accepted team_chat.channel_invitation_approval_requested
      team_chat.channel_invitation_approved team_chat.channel_invitation_created
      team_chat.channel_invitation_declined team_chat.channel_invitation_rejected
      team_chat.channel_invitation_removed team_chat.channel_join_approval_requested
      team_chat.channel_join_approved team_chat.channel_join_declined team_chat.channel_join_requested
      team_chat.channel_message_deleted team_chat.channel_message_posted team_chat.channel_message_updated
      team_chat.channel_pin_added team_chat.channel_pin_removed team_chat.channel_reaction_added
      team_chat.channel_reaction_removed team_chat.channel_unarchived team_chat.dm_message_deleted
      team_chat.dm_message_posted team_chat.dm_message_updated team_chat.dm_reaction_added
      team_chat.dm_reaction_removed team_chat.emoji_added team_chat.emoji_removed team_chat.file_changed
      team_chat.file_deleted team_chat.file_downloaded team_chat.file_shared team_chat.file_unshared
      team_chat.file_uploaded team_chat.link_shared team_chat.shared_spaces_edited
      team_chat.shared_spaces_member_invited team_chat.shared_spaces_member_left
      team_chat.shared_spaces_member_removed team_chat.starred team_chat.unstarred user.activated user.created
      user.deactivated user.deleted user.disassociated user.invitation_accepted user.personal_notes_updated
      user.presence_status_updated user.settings_updated user.signed_in user.signed_out user.tsp_created
      user.tsp_deleted user.tsp_updated user.updated webinar.alert webinar.chat_message_file_downloaded
      webinar.chat_message_file_sent webinar.chat_message_sent webinar.converted_to_meeting webinar.created
      webinar.deleted webinar.ended webinar.participant_bind webinar.participant_feedback
      webinar.participant_joined webinar.participant_left webinar.participant_role_changed
      webinar.permanently_deleted webinar.recovered webinar.registration_approved
      webinar.registration_cancelled webinar.registration_created webinar.registration_denied
      webinar.sharing_ended webinar.sharing_started webinar.started webinar.updated`),
  },
  resend: {
    from: "resend 6.38.0",
    whole: true,
    types: words(`
      contact.created contact.deleted contact.topics.updated contact.updated domain.created domain.deleted
      domain.updated email.bounced email.clicked email.complained email.delivered email.delivery_delayed
      email.failed email.opened email.received email.scheduled email.sent email.suppressed inbox.created
      inbox.deleted inbox.draft.created inbox.draft.deleted inbox.draft.sent inbox.draft.updated
      inbox.email.received inbox.email.sent inbox.thread.assigned inbox.thread.created
      inbox.thread.folder.updated inbox.thread.labels.updated inbox.thread.unassigned inbox.updated
      suppression.added suppression.removed topic.created topic.deleted topic.updated`),
  },
  hubspot: {
    from: "@hubspot/api-client 14.0.1",
    whole: false,
    types: words(`
      company.associationChange company.creation company.deletion company.merge company.propertyChange
      company.restore contact.associationChange contact.creation contact.deletion contact.merge
      contact.privacyDeletion contact.propertyChange contact.restore conversation.creation
      conversation.deletion conversation.newMessage conversation.privacyDeletion conversation.propertyChange
      deal.associationChange deal.creation deal.deletion deal.merge deal.propertyChange deal.restore
      line_item.associationChange line_item.creation line_item.deletion line_item.merge
      line_item.propertyChange line_item.restore object.associationChange object.creation object.deletion
      object.merge object.propertyChange object.restore product.creation product.deletion product.merge
      product.propertyChange product.restore ticket.associationChange ticket.creation ticket.deletion
      ticket.merge ticket.propertyChange ticket.restore`),
  },
};
