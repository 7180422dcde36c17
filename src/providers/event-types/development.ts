import { words, type KnownTypes } from "../known-types.ts";

/** https://docs.gitlab.com/user/project/integrations/webhook_events/ */
const gitlab: KnownTypes = {
  from: "https://docs.gitlab.com/user/project/integrations/webhook_events/",
  whole: false,
  types: [
    "Push Hook",
    "Tag Push Hook",
    "Issue Hook",
    "Confidential Issue Hook",
    "Note Hook",
    "Confidential Note Hook",
    "Merge Request Hook",
    "Job Hook",
    "Pipeline Hook",
    "Wiki Page Hook",
    "Deployment Hook",
    "Feature Flag Hook",
    "Release Hook",
    "Member Hook",
    "Subgroup Hook",
    "Emoji Hook",
    "Resource Access Token Hook",
  ],
};

export const development: Readonly<Record<string, KnownTypes>> = {
  discourse: {
    from: "https://meta.discourse.org/t/configure-webhooks-that-trigger-on-discourse-events-to-integrate-with-external-services/49045",
    whole: false,
    types: words(`
      topic_created topic_revised topic_edited topic_destroyed topic_recovered post_created post_edited
      post_destroyed post_recovered user_logged_in user_logged_out user_confirmed_email user_created
      user_approved user_updated user_destroyed group_created group_updated group_destroyed category_created
      category_updated category_destroyed tag_created tag_updated tag_destroyed reviewable_created
      reviewable_updated notification_created`),
  },
  github: {
    from: "@octokit/webhooks-examples 7.6.1",
    whole: false,
    types: words(`
      branch_protection_rule.created branch_protection_rule.deleted branch_protection_rule.edited
      check_run.completed check_run.created check_run.requested_action check_run.rerequested
      check_suite.completed check_suite.requested check_suite.rerequested
      code_scanning_alert.appeared_in_branch code_scanning_alert.closed_by_user code_scanning_alert.created
      code_scanning_alert.fixed code_scanning_alert.reopened code_scanning_alert.reopened_by_user
      commit_comment.created create delete dependabot_alert.created dependabot_alert.dismissed
      dependabot_alert.fixed dependabot_alert.reintroduced dependabot_alert.reopened deploy_key.created
      deploy_key.deleted deployment.created deployment_review.requested deployment_status.created
      discussion.answered discussion.category_changed discussion.created discussion.deleted discussion.edited
      discussion.labeled discussion.locked discussion.pinned discussion.transferred discussion.unanswered
      discussion.unlabeled discussion.unlocked discussion.unpinned discussion_comment.created
      discussion_comment.deleted discussion_comment.edited fork github_app_authorization.revoked gollum
      installation.created installation.deleted installation.new_permissions_accepted installation.suspend
      installation.unsuspend installation_repositories.added installation_repositories.removed
      issue_comment.created issue_comment.deleted issue_comment.edited issues.assigned issues.closed
      issues.deleted issues.demilestoned issues.edited issues.labeled issues.locked issues.milestoned
      issues.opened issues.pinned issues.reopened issues.transferred issues.unassigned issues.unlabeled
      issues.unlocked issues.unpinned label.created label.deleted label.edited marketplace_purchase.cancelled
      marketplace_purchase.changed marketplace_purchase.pending_change
      marketplace_purchase.pending_change_cancelled marketplace_purchase.purchased member.added member.edited
      member.removed membership.added membership.removed merge_group.checks_requested meta.deleted
      milestone.closed milestone.created milestone.deleted milestone.edited milestone.opened org_block.blocked
      org_block.unblocked organization.deleted organization.member_added organization.member_invited
      organization.member_removed organization.renamed package.published package.updated page_build ping
      project.closed project.created project.deleted project.edited project.reopened project_card.converted
      project_card.created project_card.deleted project_card.edited project_card.moved project_column.created
      project_column.deleted project_column.edited project_column.moved projects_v2_item.archived
      projects_v2_item.converted projects_v2_item.created projects_v2_item.deleted projects_v2_item.edited
      projects_v2_item.reordered projects_v2_item.restored public pull_request.assigned
      pull_request.auto_merge_disabled pull_request.auto_merge_enabled pull_request.closed
      pull_request.converted_to_draft pull_request.dequeued pull_request.edited pull_request.enqueued
      pull_request.labeled pull_request.locked pull_request.merged pull_request.opened
      pull_request.ready_for_review pull_request.reopened pull_request.review_request_removed
      pull_request.review_requested pull_request.synchronize pull_request.unassigned pull_request.unlabeled
      pull_request.unlocked pull_request_review.dismissed pull_request_review.edited
      pull_request_review.submitted pull_request_review_comment.created pull_request_review_comment.deleted
      pull_request_review_comment.edited pull_request_review_thread.resolved
      pull_request_review_thread.unresolved push release.created release.deleted release.edited
      release.prereleased release.published release.released release.unpublished repository.archived
      repository.created repository.deleted repository.edited repository.privatized repository.publicized
      repository.renamed repository.transferred repository.unarchived repository_dispatch repository_import
      repository_vulnerability_alert.create repository_vulnerability_alert.dismiss
      repository_vulnerability_alert.resolve security_advisory.performed security_advisory.published
      security_advisory.updated security_advisory.withdrawn sponsorship.cancelled sponsorship.created
      sponsorship.edited sponsorship.pending_cancellation sponsorship.pending_tier_change
      sponsorship.tier_changed star.created star.deleted status team.added_to_repository team.created
      team.deleted team.edited team.removed_from_repository team_add watch.started workflow_dispatch
      workflow_job.completed workflow_job.in_progress workflow_job.queued workflow_job.waiting
      workflow_run.completed workflow_run.in_progress workflow_run.requested`),
  },
  gitlab,
  "gitlab-token": gitlab,
  linear: {
    from: "@linear/sdk 98.0.0",
    whole: false,
    types: words(`
      Attachment.create Attachment.remove Attachment.update AuditEntry.create AuditEntry.remove
      AuditEntry.update Comment.create Comment.remove Comment.update Customer.create Customer.remove
      Customer.update CustomerNeed.create CustomerNeed.remove CustomerNeed.update Cycle.create Cycle.remove
      Cycle.update Document.create Document.remove Document.update Initiative.create Initiative.remove
      Initiative.update InitiativeUpdate.create InitiativeUpdate.remove InitiativeUpdate.update Issue.create
      Issue.remove Issue.update IssueLabel.create IssueLabel.remove IssueLabel.update Project.create
      Project.remove Project.update ProjectUpdate.create ProjectUpdate.remove ProjectUpdate.update
      Reaction.create Reaction.remove Reaction.update User.create User.remove User.update`),
  },
};
