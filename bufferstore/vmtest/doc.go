// Package vmtest cuts the power of a virtual machine that writes to a
// bufferstore, boots it again on the same disk and looks what is there. It
// holds tests only.
//
// # Method
//
// The machine is qemu's, fully emulated, with a Debian kernel and an initramfs
// that holds one program: this package's test binary, which is init when the
// kernel starts it. It mounts the disk with ext4, opens the store there, reads
// all of it, and tells the host over a serial line what each number of each
// lane holds, having compared every record with what must be there: its bytes
// follow from seed, lane, epoch and number. Then one goroutine a lane appends,
// syncs, reads back and acknowledges, and says after each Sync what is durable.
//
// The host cuts at a random moment, some of them while the store opens: it
// kills qemu, and the guest's page cache with it. Then it empties the disk's
// write cache. The next boot must find every number that was once reported
// durable, under its epoch, with its bytes; or, if it was acknowledged, given
// back. Numbers are dense, gaps stay gaps, acknowledgements that were synced
// are there, nothing is quarantined.
//
// # The disk
//
// Whatever qemu offers as a cache mode, a killed qemu leaves its writes in the
// host's page cache, so that a write the guest's kernel has issued is never
// lost, flushed or not: cache=writeback, none and unsafe are then the same
// model of a disk whose cache survives. So by default the disk is an NBD
// server in the test (-disk volatile), which knows what each flush made stable.
// At the cut a random share of all later sectors, from none to all, falls back
// to that, in no order, with 4 KiB blocks torn or whole. Only flushes protect,
// as the standards of disks promise and no more. The other modes are there for
// comparison.
//
// To make the guest's kernel hide less, ext4 is mounted with noauto_da_alloc
// (it forgives no rename without fsync), on some boots with data=writeback, and
// on some the kernel writes unsynced pages early, so that they reach the disk
// in part.
//
// # Running it
//
//	.ci/peers vm # qemu and the kernel, once
//	go test ./bufferstore/vmtest -v -cycles 50 -timeout 30m
//
// A cycle takes about 10 s, 3 of them to boot, and one processor. Without
// -cycles only the disk's and the ledger's own tests run. With -artifacts the
// disk's image and the console's messages of the last boot are kept.
//
// # What a real cut can do beyond that
//
// Tear a sector of 512 bytes, lose what was flushed (a disk that lies),
// disturb sectors that weren't written (flash that moves its blocks), or fail
// slowly with the voltage. One file system, one kernel and one emulated
// processor are tried: interleavings of several processors are not. The moment
// of a cut isn't repeatable; the seed repeats contents, sizes, mount options and
// the share that is lost.
package vmtest
