ALTER TABLE `hookonce_events` ADD `change` integer;--> statement-breakpoint
CREATE INDEX `hookonce_events_change` ON `hookonce_events` (`change`) WHERE "hookonce_events"."change" is not null;