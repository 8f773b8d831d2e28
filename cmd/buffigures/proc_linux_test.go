package buffigures

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running process, seen through /proc.
type process int

func (p process) read(file string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p, file))
	return string(text), err
}

// field returns the number behind a name in a text of lines "name: number".
func field(text, name string) (int64, error) {
	m := regexp.MustCompile(`(?m)^` + name + `:\s*(\d+)`).FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no %s in /proc", name)
	}
	return strconv.ParseInt(m[1], 10, 64)
}

// memory is what a process takes, in bytes.
type memory struct{ anon, rss int64 }

func (p process) memory() (m memory, err error) {
	text, err := p.read("status")
	if err != nil {
		return m, err
	}
	if m.anon, err = field(text, "RssAnon"); err != nil {
		return m, err
	}
	m.rss, err = field(text, "VmRSS")
	return memory{m.anon << 10, m.rss << 10}, err
}

// most returns the greater of each.
func (m memory) most(n memory) memory { return memory{max(m.anon, n.anon), max(m.rss, n.rss)} }

// written returns the bytes for which p made the kernel write.
func (p process) written() (int64, error) {
	text, err := p.read("io")
	if err != nil {
		return 0, err
	}
	return field(text, "write_bytes")
}

// cpu returns the time p has run, in user and in kernel mode.
func (p process) cpu() (time.Duration, error) {
	text, err := p.read("stat")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from field 3 on, proc_pid_stat(5)
	user, err := strconv.ParseInt(f[14-3], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(f[15-3], 10, 64)
	return time.Duration(user+system) * time.Second / 100, err
}

// switches returns how often the threads of p were given the processor anew.
func (p process) switches() (sum int64, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p))
	if err != nil {
		return 0, err
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return 0, err
		}
		for _, kind := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			n, err := field(string(text), kind)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
