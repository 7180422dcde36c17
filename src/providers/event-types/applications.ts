import { words, type KnownTypes } from "../known-types.ts";

const ALERTS: Pick<KnownTypes, "whole" | "types"> = { whole: true, types: ["firing", "resolved"] };

export const applications: Readonly<Record<string, KnownTypes>> = {
  strava: {
    from: "https://developers.strava.com/docs/webhooks/",
    whole: true,
    types: words(`
      activity.create activity.update activity.delete athlete.create athlete.update athlete.delete`),
  },
  "docker-hub": {
    from: "https://docs.docker.com/docker-hub/repos/manage/webhooks/",
    whole: true,
    types: ["push_data"],
  },
  gumroad: {
    from: "https://github.com/antiwork/gumroad/blob/main/app/models/resource_subscription.rb",
    whole: true,
    types: words(`
      sale cancellation subscription_ended subscription_restarted subscription_updated refund dispute
      dispute_won`),
  },
  "uptime-kuma": {
    from: "https://github.com/louislam/uptime-kuma/blob/master/server/notification-providers/webhook.js",
    whole: true,
    types: words(`heartbeat.0 heartbeat.1 heartbeat.2 heartbeat.3 msg`),
  },
  alertmanager: {
    from: "https://prometheus.io/docs/alerting/latest/configuration/#webhook_config",
    ...ALERTS,
  },
  grafana: {
    from: "https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/",
    ...ALERTS,
  },
  supabase: {
    from: "https://github.com/supabase/auth/blob/master/internal/hooks/v0hooks/v0hooks.go",
    whole: true,
    types: words(`
      send-sms send-email customize-access-token mfa-verification password-verification before-user-created
      after-user-created`),
  },
  trello: {
    from: "https://developer.atlassian.com/cloud/trello/guides/rest-api/action-types/",
    whole: false,
    types: words(`
      acceptEnterpriseJoinRequest addAttachmentToCard addChecklistToCard addLabelToCard addMemberToBoard
      addMemberToCard addMemberToOrganization addOrganizationToEnterprise addToEnterprisePluginWhitelist
      addToOrganizationBoard commentCard convertToCardFromCheckItem copyBoard copyCard copyChecklist
      copyCommentCard createBoard createCard createCheckItem createLabel createList createOrganization
      deleteAttachmentFromCard deleteBoardInvitation deleteCard deleteCheckItem deleteComment deleteLabel
      deleteOrganizationInvitation disableEnterprisePluginWhitelist disablePlugin disablePowerUp emailCard
      enableEnterprisePluginWhitelist enablePlugin enablePowerUp makeAdminOfBoard makeNormalMemberOfBoard
      makeNormalMemberOfOrganization makeObserverOfBoard memberJoinedTrello moveCardFromBoard moveCardToBoard
      moveListFromBoard moveListToBoard removeChecklistFromCard removeFromEnterprisePluginWhitelist
      removeFromOrganizationBoard removeLabelFromCard removeMemberFromBoard removeMemberFromCard
      removeMemberFromOrganization removeOrganizationFromEnterprise unconfirmedBoardInvitation
      unconfirmedOrganizationInvitation updateBoard updateCard updateCheckItem updateCheckItemStateOnCard
      updateChecklist updateComment updateCustomFieldItem updateLabel updateList updateMember
      updateOrganization`),
  },
  plex: {
    from: "https://support.plex.tv/articles/115002267687-webhooks/",
    whole: false,
    types: words(`
      library.on.deck library.new media.pause media.play media.rate media.resume media.scrobble media.stop
      admin.database.backup admin.database.corrupted device.new playback.started`),
  },
};
