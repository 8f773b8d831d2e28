package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// ansi lets a console understand colours and reports whether it does. One of
// Windows 10 does when it is told to, an older one never.
func ansi(f *os.File) bool {
	console := windows.Handle(f.Fd())
	var mode uint32
	return windows.GetConsoleMode(console, &mode) == nil &&
		windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
