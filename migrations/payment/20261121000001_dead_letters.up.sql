-- The same in every database: how dead letters come back.

ALTER TABLE dead_letters
    -- After how many failed tries it was laid to rest.
    ADD COLUMN tries integer NOT NULL DEFAULT 1,
    -- Since when somebody wants it to be handled again. The process that runs its consumer does so, and deletes it.
    ADD COLUMN redriven_at timestamptz;

-- The way to those few that are wanted, however many rest.
CREATE INDEX dead_letters_redriven ON dead_letters (consumer) WHERE redriven_at IS NOT NULL;
