ALTER TABLE `hookonce_audit` ADD `job` text;--> statement-breakpoint
ALTER TABLE `hookonce_audit` ADD `count` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `hookonce_audit_job` ON `hookonce_audit` (`job`) WHERE "hookonce_audit"."job" is not null;