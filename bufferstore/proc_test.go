package bufferstore

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// proc reads a number out of a file of /proc/self.
func proc(b *testing.B, file, name string) float64 {
	text, err := os.ReadFile("/proc/self/" + file)
	if err != nil {
		b.Skip(err)
	}
	m := regexp.MustCompile(name + `:\s*(\d+)`).FindSubmatch(text)
	if m == nil {
		b.Skipf("no %s in /proc/self/%s", name, file)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
