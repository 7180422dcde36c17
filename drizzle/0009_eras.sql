DROP INDEX `hookonce_events_source_event_id`;--> statement-breakpoint
ALTER TABLE `hookonce_events` ADD `era` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX `hookonce_events_source_event_id` ON `hookonce_events` (`source`,`event_id`,`era`);--> statement-breakpoint
CREATE TABLE `__new_hookonce_deliveries` (
	`source` text NOT NULL,
	`event_id` text NOT NULL,
	`era` integer DEFAULT 0 NOT NULL,
	`number` integer NOT NULL,
	`at` integer NOT NULL,
	`outcome` text NOT NULL,
	`changed_body` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`source`, `event_id`, `era`, `number`)
);
--> statement-breakpoint
INSERT INTO `__new_hookonce_deliveries`("source", "event_id", "era", "number", "at", "outcome", "changed_body") SELECT "source", "event_id", 0, "number", "at", "outcome", "changed_body" FROM `hookonce_deliveries`;--> statement-breakpoint
DROP TABLE `hookonce_deliveries`;--> statement-breakpoint
ALTER TABLE `__new_hookonce_deliveries` RENAME TO `hookonce_deliveries`;