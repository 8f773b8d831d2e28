//go:build !linux

package bufferstore

import "syscall"

// errCorrupt is what a file system answers that finds itself damaged: nothing of its own here.
const errCorrupt = syscall.EIO
