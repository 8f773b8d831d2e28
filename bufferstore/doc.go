// Package bufferstore keeps records on flash until they are delivered: durable
// lanes of opaque records under dense sequence numbers, cursors that say how
// far each destination has got, and declared gaps for all that is lost.
//
// # Promises
//
//   - What [Store.Sync] has returned nil for survives a kill and a power cut.
//     Nothing else may be read.
//   - Every number of a lane is a record or lies in a gap with a reason; it comes
//     in order, under the epoch that gave it out, and no number of an epoch ever
//     names two records.
//   - A reason, once durable, doesn't change, and a lost number doesn't come
//     back. The exceptions: gaps that all cursors have passed are forgotten beyond
//     4096 a lane and then read as expired, and what reads as damaged because
//     the disk can't be read today may be readable tomorrow.
//   - [Lane.Append] takes memory and no time: a stalled or full disk costs records
//     only when Options.MaxPending is used up, and then they are declared.
//   - Damage costs the records it hits, or, where it hits what names them, the store is
//     set aside and a fresh one begun that goes on with its numbers. It never
//     yields a wrong record, and what is gone is declared.
//   - Order, retention and quota depend on sequence numbers and store age, which is
//     accumulated running time; the wall clock is never read.
//
// # Limits
//
// A record is at most [MaxRecord] long. Lanes share one file system and one
// quota. Badger, the engine, loses data on 32-bit machines, so Open refuses them. It writes
// through memory maps, so a file system that another process fills to the last
// byte within one commit ends the process; the reserve of 64 MiB makes that
// unlikely, a partition of its own impossible. What was durable survives that
// as well.
//
// # The directory
//
//	lock                 held by the process that has the store open
//	opening              while the engine is opened: how often in a row that was begun
//	probe                while it is found out whether the disk takes writes again
//	marks-0, marks-1     a second witness of what is durable in each lane, see below
//	store-<epoch>        the engine's own; the epoch only makes the name unique
//	quarantine-<epoch>   a store that was set aside
//
// # Keys, values, chunks
//
// Their rulers stand in key.go and chunk.go. A lane is described by its oldest
// kept and last durable number, its spans (where each epoch begins), gaps and
// cursors. Records are written as small chunks, one for each Sync and lane that
// has any; a minute later, or at 64 KiB, they are packed into a sealed chunk
// through the codec. Sealed chunks are keyed by segment: 512 chunks, 32 MiB or a
// sixteenth of the budget, that go as a whole. There is no key for each record,
// no time to live, and no value in Badger's value log.
//
// # The writes, and what a cut leaves
//
// Each is one transaction, one after the other, with the description of what
// it changes, the cursors that moved and the store's age. A cut leaves all of it or none.
//
//   - Opening: the new epoch in every lane. A cut before it: the numbers go to the
//     next opening. A span without records gives way to the next one.
//   - Sync: small chunks, new gaps, the last durable number; where the quota
//     demands it, what is given up for them. More than 192 KiB takes several.
//   - Seal: the sealed chunk, read back and compared before, its segment's list, and
//     the removal of the small chunks. Before or after, each record exists once.
//   - Giving up: the oldest kept number, the gap, and the removal of segment lists and small
//     chunks. From then on the numbers are gone; sealed chunks may lie on.
//   - Reclaim: all chunks of segments below the oldest kept one are dropped, then that is
//     noted. A cut between the two repeats the drop of nothing.
//
// # What the engine forgets
//
// Badger drops everything behind a damaged place of its log without a word, and a
// store that is set aside takes the names of its records with it. So after each
// Sync the lanes' spans, cursors and last durable numbers are written to one of
// two small files in turn. They are not synced, because they matter only where
// the engine has lost what it had synced: then an opening finds numbers that
// the engine doesn't know, and declares them damaged under the epochs that gave
// them out.
//
// # Failed writes
//
// After a write has failed nobody knows whether it is durable, and the kernel
// may have dropped what it could not write. So the engine is closed, which
// rewrites what it holds in memory, and opened again; what is durable is read
// back, and the rest is still pending. While the disk takes no writes at all,
// readers are served by the old engine and appended records wait in memory.
package bufferstore
