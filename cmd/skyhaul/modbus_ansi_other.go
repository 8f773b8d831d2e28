//go:build !windows

package main

import "os"

// ansi reports whether a terminal understands colours.
func ansi(*os.File) bool { return true }
