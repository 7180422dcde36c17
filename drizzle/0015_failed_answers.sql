ALTER TABLE `hookonce_failures` ADD `failed_answers` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `accepted_at` integer;