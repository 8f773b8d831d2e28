package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// holder says which process has a device open, as far as this user may see it;
// "" where that is unknown, as on Windows.
func holder(device string) string {
	want, err := filepath.EvalSymlinks(device)
	if err != nil {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	for _, link := range links {
		target, err := os.Readlink(link)
		pid := strings.Split(link, "/")[2]
		if err != nil || target != want || pid == fmt.Sprint(os.Getpid()) {
			continue
		}
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err == nil {
			return fmt.Sprintf(" by %s (process %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}
