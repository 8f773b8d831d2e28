// Package faultfs is a file system with the faults of real storage, for tests:
// the power is cut, the card is full, stalls, fails or turns read-only. A
// [Volume] lives in memory and is mounted through FUSE (Linux only), so that
// any process can use it, with memory maps and all.
//
// # What survives a cut
//
// Each file has two contents, the one that readers see and the one on disk, and
// the changes that lead from the one to the other. Directories have two sets of
// entries and a journal between them. [Volume.Cut] and [Volume.Image] choose by
// their seed, so that the same calls and the same seed leave the same volume.
//
//   - fsync, fdatasync, msync and O_SYNC make durable the content and size of a
//     file, and the directory operations up to the last one on its entry. fsync
//     of a directory makes durable the operations on its entries. POSIX promises
//     less (fsync(2): the entry needs an fsync of its own), which is what
//     Options.Strict is for.
//   - A sector of 512 bytes is old or new, never a mixture; where the file system
//     writes a sector back, all that was written to it up to then goes with it.
//   - Of the writes that were not fsynced all survive, or none, or those up to
//     one that is torn, or each is kept, lost or torn by chance, in any order. Of
//     a torn write the first, the last or any sectors survive, and some that it
//     covers whole read as zeros.
//   - The size of a file may grow without the data, which then read as zeros, and
//     data beyond the size are lost. Where truncation to a smaller size or the
//     punching of a hole is lost, so is what was written to that file afterwards.
//   - Directory operations survive up to one of them, in order across the volume,
//     as the journal of a file system leaves them (ext4, data=ordered). They are
//     not in order with the content of files: a file renamed over another without
//     fsync may be empty. A rename is there or not, never half.
//   - With Options.Strict no new entry survives without an fsync of its directory,
//     and other operations survive each by chance, in any order that makes sense.
//
// That applications do rely on more than this, and lose data, is shown by
// Pillai et al., "All File Systems Are Not Created Equal" (OSDI '14); that drives
// do tear and lose writes by Zheng et al., "Understanding the Robustness of SSDs
// under Power Fault" (FAST '13).
//
// # A failed fsync
//
// It is reported once. What it should have made durable counts as clean from
// then on, so the next fsync returns nil and saves nothing of it, until the
// block is written again: Rebello et al., "Can Applications Recover from fsync
// Failures?" (ATC '20). What readers see then differs between file systems, see
// [Loss]. A failed fsync of a directory leaves its operations as they were.
//
// # How a test goes
//
//	v := faultfs.New(faultfs.Options{})
//	v.Mount(dir)     // start a process that works in dir
//	v.Cut(seed)      // now kill it: what it writes, or the kernel for it, is refused
//	v.Mount(dir)     // open what the cut has left
//
// A process that is killed before the cut has lost nothing: its writes, and the
// dirty pages of its memory maps, are the kernel's, and reach the volume as writes
// that were not fsynced. [Volume.Image] shows what a cut at this moment would leave
// without cutting, and [Volume.CopyOut] puts it into an ordinary directory.
// To let every call fail in turn, plan a [Fault] with Nth = 1, 2, 3, ... until a
// run ends with no Stats.Failed.
//
// # Limits
//
//   - The process that serves a volume may use its files, but not map them, work
//     in them as the directory of a child, or run programs from them: there a
//     thread waits for the volume without the Go scheduler knowing, and garbage
//     collection may wait for that thread for ever. Another process may. Should
//     the serving process die, a shell that it has started takes the mount away by
//     force, because a thread that waits for its own process can't be killed.
//   - A store through a memory map to a full volume isn't refused at once (SIGBUS on
//     other file systems): the kernel learns of it when it writes back, and msync
//     returns the error.
//   - Content that the kernel holds in memory is read without asking, from a dead
//     mount as well. Opening a file drops it.
//   - Inodes and directories take no space, and a file that was unlinked gives its
//     space back even while it is open. No links, attributes or permissions.
//   - Of a file with more than 4096 changes not fsynced, the oldest 2048 count as
//     written back.
//   - The disk obeys: what was fsynced is never lost, nor damaged afterwards.
package faultfs
