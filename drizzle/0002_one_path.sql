ALTER TABLE `hookonce_deliveries` RENAME TO `hookonce_bodies`;--> statement-breakpoint
ALTER TABLE `hookonce_bodies` RENAME COLUMN `body` TO `bytes`;--> statement-breakpoint
ALTER TABLE `hookonce_bodies` ADD `sha256` blob;--> statement-breakpoint
CREATE TABLE `hookonce_results` (
	`event` integer PRIMARY KEY NOT NULL,
	`body` integer NOT NULL,
	`rows_changed` integer DEFAULT 0 NOT NULL,
	`duration_us` integer DEFAULT 0 NOT NULL,
	`reply` text,
	`handler_hash` text
);
--> statement-breakpoint
INSERT INTO `hookonce_results` (`event`, `body`, `rows_changed`, `duration_us`, `reply`)
SELECT `id`, `delivery_id`, `rows_changed`, `duration_us`, `reply` FROM `hookonce_events` WHERE `delivery_id` IS NOT NULL;
--> statement-breakpoint
ALTER TABLE `hookonce_events` DROP COLUMN `rows_changed`;--> statement-breakpoint
ALTER TABLE `hookonce_events` DROP COLUMN `duration_us`;--> statement-breakpoint
ALTER TABLE `hookonce_events` DROP COLUMN `delivery_id`;--> statement-breakpoint
ALTER TABLE `hookonce_events` DROP COLUMN `reply`;--> statement-breakpoint
CREATE TABLE `hookonce_deliveries` (
	`source` text NOT NULL,
	`event_id` text NOT NULL,
	`number` integer NOT NULL,
	`at` integer NOT NULL,
	`outcome` text NOT NULL,
	`changed_body` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`source`, `event_id`, `number`)
);
--> statement-breakpoint
DROP INDEX `hookonce_failures_open`;--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `deliveries` integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `element` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `position` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
UPDATE `hookonce_failures` SET `deliveries` = `attempts`;--> statement-breakpoint
UPDATE `hookonce_failures` SET `element` = 1
WHERE `source` IN (SELECT `name` FROM `hookonce_sources` WHERE json_type(`event_id_rule`, '$.batch') IS NOT NULL);--> statement-breakpoint
DROP INDEX `hookonce_events_unhandled`;--> statement-breakpoint
CREATE INDEX `hookonce_events_unhandled` ON `hookonce_events` (`id`) WHERE "hookonce_events"."outcome" = 'unhandled';--> statement-breakpoint
CREATE INDEX `hookonce_failures_open` ON `hookonce_failures` (`position`) WHERE "hookonce_failures"."settled_at" is null;
