DROP INDEX dead_letters_redriven;
ALTER TABLE dead_letters DROP COLUMN tries, DROP COLUMN redriven_at;
