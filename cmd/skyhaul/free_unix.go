//go:build unix

package main

import "golang.org/x/sys/unix"

// freeBytes returns what the file system of dir has free; 0 where dir is not
// there, as on a laptop.
func freeBytes(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
