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
//   - Damage costs the records that it hits. It never yields a wrong record, it
//     never keeps the store from opening, and what is gone is declared.
//   - A full, failing or read-only disk never ends the process and heals by itself.
//   - Order, retention and quota depend on sequence numbers and store age, which is
//     accumulated running time; the wall clock is never read.
//
// # The parts
//
//	Append   pending entries in memory
//	  |
//	Sync     head: a log of two files, one write and one fdatasync for all lanes
//	  |
//	Run      segments: what a full head file held, packed by the codec
//	  |
//	Ack      space back, segment by segment, after Retain
//
// Readers take records from memory, where all that the head holds is kept as
// well, and from segments.
//
// # The directory
//
//	head-0, head-1     the log, filled in turn; head-2 and up take over where one has failed
//	marks-0, marks-1   a witness of how far each lane is durable, never synced
//	segments/<lane>-<number, 16 hex digits>/
//	    000001.sst ...   Badger tables of chunks; MANIFEST names them
//	    chunks           the same on 32-bit machines and Windows: chunks one behind the other
//	    sealed           what the segment holds, and the CRC32C of each of its files
//	ballast            takes space, for a segment when another program has taken the rest
//	quarantine/        damaged segments after their repair, stores of a newer version
//	lock               on Windows only
//
// The directory itself is locked with flock(2) while a store has it open.
//
// # The head
//
// A file of HeadBytes, 4 MiB as a rule, is filled with zeros and synced when it
// is made. From then on no write to it moves a block or its length, so that an
// fdatasync has no metadata to wait for. A commit is one pwrite of whole pages of
// 4 KiB:
//
//	0             4096          8192          12288
//	+-------------+-------------+-------------+---------
//	| commit      | commit                    | ...
//	+-------------+---------------------------+---------
//	  A R R G K 0   A P S K 0 0 0 0 0 0 0 0 0
//
// It never touches a page of an earlier one: a page torn by a power cut holds
// nothing that was durable before. Its frames (their ruler stands in frame.go) say
// what changed: the store's age, records, gaps, what is given up, cursors, segments.
// The first commit of an opening and of a file begins with a checkpoint, which
// says all but the records. A commit of more than a page is packed with zstd,
// in runs of 64 KiB at most.
//
// Each frame carries its length, a CRC32C, and the generation of the file, which
// rises by one with each turn from file to file: what an earlier filling left
// behind is never taken for what is there now. Opening reads both files whole and replays all
// intact frames in order of generation and place. A damaged frame costs what it
// said: the next intact one is found by its magic.
//
// # Segments
//
// A head file is free again once what only it holds is in segments. A lane that
// has much in it gets a segment of its own; one with little moves on, by being
// written once more. A segment is built in a directory of another name:
//
//	write     chunks of 1 MiB of records at most, each with lane, epoch, numbers and CRC32C
//	sync      every file, then the directory
//	compare   opened as a reader would, every chunk is read back
//	rename    to its name; the parent directory is synced
//	note      a frame in the head says that it is there
//	reuse     only now may the head file be filled anew
//
// and never changes. Giving space back is the way in reverse: a frame that says from
// where on records are kept, the rename to a name of no meaning, the removal.
//
// Badger's part are the tables: built by its builder, in its format, readable by its
// tools. It is not given the directory to run in, because of what was measured of
// v4.9.6 as one database of all chunks: compaction writes each chunk three to five
// times (here it is written 1.01 times), memory maps end the process on a full disk or
// a bad sector, a damaged MANIFEST refuses everything or deletes all, its tickers
// wake an idle machine 200 times a second, and on 32-bit machines keys vanish
// after the first compaction.
//
// # What a cut leaves
//
//	during                 found at the next opening
//	a commit               some of its frames; those that are there count, a number
//	                       that is missing between them is declared damaged
//	making a head file     a file without frames, or of another length: made anew
//	a turn                 the old file whole, and perhaps the checkpoint of the new one
//	building a segment     a directory .new: removed; the head still holds the records
//	between rename, note   a whole segment that the head doesn't know: adopted
//	giving up              numbers below the first kept one: the segment is removed
//	a repair               see repairSegment
//
// A kill may leave in the page cache what isn't on the medium. So the first commit
// of an opening syncs all that it found before it relies on it.
//
// # Failed writes
//
// After a failed write or fdatasync the kernel may have dropped what it could not
// write, and the next fdatasync says nothing of it. So a file that has failed is not
// used again. All that only the head holds, which is in memory, is written to another
// file behind a checkpoint, and only then does Sync return nil. The failed file
// is made anew later.
//
// # The witness
//
// The end of a log that is damaged looks like an end. So after each Sync the lanes'
// last numbers, epochs and cursors are written to one of two small files, and not
// synced: they cost a page each half minute. An opening that finds less in the
// head than the witness knows declares the rest damaged.
//
// # Space
//
// Writing to the head needs none. A segment needs about what its records take; the
// ballast is there for it, then what policy allows to give up: delivered records
// first, then the oldest of lanes that may drop. While there is no space at
// all, lanes that may drop live in the head as in a ring, and others are refused
// once memory is used up; both are declared.
//
// # Encryption
//
// With Options.Key the body of each frame and of each chunk is sealed with AES-256-GCM
// under keys that HKDF-SHA-256 derives from it, one for each use, with random nonces of 96
// bits: good for 2^32 frames by the bound of NIST SP 800-38D, 8.3, which at one commit of
// ten records a second are 13 years. Lane names, numbers, lengths and times of chunks
// stay readable, and so do the marks.
//
// # Limits
//
// A record is at most [MaxRecord] long. Lanes share one file system and one quota.
// Memory holds what the head holds, and one chunk for each reader: 8 MiB and two by
// default, three times that where records pack very well.
// A damaged page of a packed commit costs up to 64 KiB of records, one of a chunk the chunk.
//
// # Proofs
//
// Each fault is a test with a fixed seed, short by default. What is not to be seen in
// any of them: a durable record that is gone and not declared, a wrong record, a store
// that doesn't open, a process that ends. Those on a FUSE volume (package faultfs) and in a
// virtual machine (package vmtest, with what .ci/peers vm installs) need root.
//
//	fault                                       go test ./bufferstore -v -run ...
//	kill -9                                     'TestKill$' -kills 10000 -timeout 60m
//	power cut: writes dropped, torn, reordered  'TestPowerCut$' -cuts 1000 -timeout 30m
//	power cut of a virtual machine              go test ./bufferstore/vmtest -v -cycles 50 -timeout 40m
//	disk full                                   'TestDiskFull$|TestStoreBeginsOnAFullDisk$' -fulls 100
//	read-only remount                           'TestReadOnly$' -readonlys 20
//	EIO at every write, sync, directory change  'TestEveryCallFails$' -everycall 1
//	EIO at every read                           'TestEveryReadFails$' -everycall 1
//	a card that stalls for 5 s                  'TestStall$'
//	every file of a store damaged               'TestDamageMatrix$' -places 4 -tolls -timeout 40m
//	every file of a segment damaged             'TestDamageCostsTheChunksItHits$' -flips 400 -timeout 40m
//	histories on a failing card                 'TestEveryNumberIsARecordOrInAGap$' -seeds 1000 -timeout 40m
//
// Damage to one file costs, as TestDamageMatrix prints it for stores of 434 and 392
// records with heads of 64 KiB and about one chunk a segment:
//
//	                          a bit   4 KiB of zeros   cut in half   gone
//	one head file             0-14    0-14             0-56          14-71
//	both head files           0-14    0-28             31-56         84-88
//	a table, or chunks        4-54    4-54             4-54          0-54
//	sealed, MANIFEST          0       0                0             0
//	marks, ballast            0       0                0             0
//
// What it costs to run is printed by go test ./cmd/buffigures: see there.
//
// # Assumptions
//
//   - A page of 4 KiB that isn't written is not damaged by the write of another. Cards
//     with larger flash pages and no power-loss protection can break that; then the
//     frames or chunks hit are declared.
//   - fdatasync and fsync reach the medium: barriers are on (ext4's default).
//   - A rename is atomic and durable after fsync of the directory (POSIX says the first,
//     ext4, XFS, F2FS and btrfs do both).
//   - After a failed fsync the page cache proves nothing (Rebello et al., "Can
//     applications recover from fsync failures?", ATC '20).
//
// Each write to a file also moves its time of change, which ext4 journals every five
// seconds. The mount option lazytime spares some of that: 7.6 instead of 7.9 bytes
// a reading at 1,000 readings and one commit a second.
package bufferstore
