ALTER TABLE `hookonce_events` ADD `applied_at` integer;--> statement-breakpoint
-- Of events that had been owed, it is not known when they were applied. Their windows begin now.
UPDATE `hookonce_events` SET `applied_at` = unixepoch() * 1000 WHERE `change` IS NOT NULL AND `outcome` = 'processed';
