// Package buffigures holds no code of its own; its test measures the buffer as
// the daemon uses it, and prints the figures beside their targets:
//
//	go test ./cmd/buffigures -run TestFigures -v -paced 1h -backlog 720h -timeout 6h
//
// It needs Linux, root, loop devices and mkfs.ext4, and for a backlog of 30
// days 20 GB in the folder for temporary files. With small values, such as
// -paced 20s -backlog 30m, it is a quick look; without any it checks in seconds
// that the figures can be taken. -commit gives the intervals between syncs,
// -figures FILE writes the table as JSON too; paths must be absolute. Nothing
// here is a timed test: what the table calls missed fails nothing; a record lost
// or changed does. An interrupt ends it in order; where it is killed or runs into
// -timeout its file systems stay mounted.
//
// # Load
//
// 1,000 readings a second: 10 groups of 100 points at 1 Hz, as scan records
// under their schemas. The values are rows of recordings laid side by side, of
// those that were taken every 10 s or faster, one row a second: 16-bit registers
// where a column holds nothing but such numbers, else float32. Each group begins
// elsewhere in them. A recording is replayed in a loop, each pass a unit of a late
// decimal higher than the one before, so that no pass repeats another. -data DIR
// takes the recordings (.csv, .csv.zst) of a folder instead of the two in this
// repository.
//
// # How it is measured
//
// The writer is a process of its own with the daemon's store options, chunk
// codec and memory limit, on an ext4 file system of its own on a loop device.
// It gets its records through a pipe, so that making them is not measured.
//
//   - Backlog: a commit each second, as fast as it goes, on a mount that doesn't
//     wait for the device; an unacked cursor holds it. It is mounted anew before
//     anything is measured on it.
//   - Device bytes are the sectors that the loop device was told to write, from
//     the end of the warm-up (60 s where -paced is 10m or more, else none) to the
//     end, with a sync of the file system at both. Beside them stands of what
//     they consist: by how much the store has grown, which is chunks; what the
//     process wrote else, by the kernel's account, which is its log; and the rest,
//     which is the file system's journal and metadata.
//   - Paced, all variants are written at once, a quarter of a second apart: two
//     mounts, noatime with and without lazytime, for each interval in -commit. The
//     first of them has the backlog, and gives memory, CPU and latency. CPU is
//     the process's alone, not that of the kernel's own threads.
//   - Unpaced, the same is written one after the other on fresh stores, for ten
//     times as many seconds up to an hour's.
//   - Latency is the time from the append of a second's records to the end of
//     the sync that follows at once: what comes on top of the commit interval.
//   - Cold means that the file system was unmounted and the machine's page cache
//     dropped before the process was started. Without -paced only the first.
//   - Read-out is of the last 200 million readings at most, through the codec;
//     then each record of them is compared with what was written.
//   - Space back is the share of the file system's used bytes that were not used
//     by an empty store.
package buffigures
