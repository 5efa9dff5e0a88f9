-- What the database's clock last showed, so that it is noticed when it was put back: what had been set for a time that was thought to be
-- near would wait for it, a day if need be. No row: nobody has looked yet.
CREATE TABLE clock (
    seen_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX clock_one ON clock ((true));
