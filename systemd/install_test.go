package systemd_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skyhaul/systemd"
)

func install(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if _, err := systemd.Install(root); err != nil {
		t.Fatal(err)
	}
	return root
}

func write(t *testing.T, file, content string, perm fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), perm); err != nil {
		t.Fatal(err)
	}
}

// need skips at a desk without the tool; where everything is installed its
// absence is a failure.
func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// quiet runs a command that must succeed and complain of nothing.
func quiet(t *testing.T, name string, args ...string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
}

func TestInstallReturnsWhatItWrote(t *testing.T) {
	root := filepath.Join(t.TempDir(), "image")
	got, err := systemd.Install(root)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range []string{
		"etc/skyhaul/skyhaul.toml",
		"etc/skyhub/skyhub.toml",
		"usr/lib/systemd/system/skyhaul.service",
		"usr/lib/systemd/system/skyhub.service",
		"usr/lib/sysusers.d/skyhaul.conf",
		"usr/lib/sysusers.d/skyhub.conf",
		"usr/lib/tmpfiles.d/skyhaul.conf",
		"usr/lib/udev/rules.d/70-skyhaul.rules",
	} {
		want = append(want, filepath.Join(root, filepath.FromSlash(name)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, file := range got {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestUpdateReplacesUnitsAndKeepsConfigurations(t *testing.T) {
	root := install(t)
	conf := filepath.Join(root, "etc/skyhaul/skyhaul.toml")
	unit := filepath.Join(root, "usr/lib/systemd/system/skyhaul.service")
	write(t, conf, "mine", 0o644)
	write(t, unit, strings.Repeat("old\n", 10_000), 0o644)
	got, err := systemd.Install(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range got {
		if strings.HasPrefix(file, filepath.Join(root, "etc")) {
			t.Errorf("%s written over", file)
		}
	}
	if b, _ := os.ReadFile(conf); string(b) != "mine" {
		t.Errorf("configuration is now %q", b)
	}
	if b, _ := os.ReadFile(unit); !strings.HasPrefix(string(b), "# The appliance") || strings.Contains(string(b), "old\n") {
		t.Error("old unit is still there")
	}
}

func TestLinkOutOfTheRootIsNotFollowed(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root, "etc")); err != nil {
		t.Skip(err)
	}
	if _, err := systemd.Install(root); err == nil {
		t.Error("no error")
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("wrote %v outside", left)
	}
}

// The figure is operations' gate: competitors ship between 3.7 and 9.6.
func TestUnitsAreValidAndExposedAtMost1point8(t *testing.T) {
	need(t, "systemd-analyze")
	root := install(t)
	units := filepath.Join(root, "usr/lib/systemd/system")
	for _, target := range []string{"sysinit", "basic", "shutdown", "multi-user"} {
		write(t, filepath.Join(units, target+".target"), "[Unit]\nDescription=stands in for the real one\n", 0o644)
	}
	for _, program := range []string{"skyhaul", "skyhub"} {
		write(t, filepath.Join(root, "usr/bin", program), "#!/bin/sh\n", 0o755)
		quiet(t, "systemd-analyze", "verify", "--root="+root, program+".service")
		quiet(t, "systemd-analyze", "security", "--offline=true", "--threshold=18", filepath.Join(units, program+".service"))
	}
}

func TestUsersAndFoldersAreMade(t *testing.T) {
	need(t, "systemd-sysusers")
	root := install(t)
	write(t, filepath.Join(root, "etc/group"), "root:x:0:\ndialout:x:20:\n", 0o644)
	write(t, filepath.Join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n", 0o644)
	quietFiles := func(tool string, args ...string) {
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", tool, err, out)
		}
	}
	quietFiles("systemd-sysusers", "--root="+root)
	passwd, _ := os.ReadFile(filepath.Join(root, "etc/passwd"))
	group, _ := os.ReadFile(filepath.Join(root, "etc/group"))
	if !strings.Contains(string(passwd), "\nskyhaul:") || !strings.Contains(string(passwd), "\nskyhub:") {
		t.Errorf("passwd:\n%s", passwd)
	}
	if !strings.Contains(string(group), "dialout:x:20:skyhaul") {
		t.Errorf("group:\n%s", group)
	}
	quietFiles("systemd-tmpfiles", "--create", "--root="+root)
	if info, err := os.Stat(filepath.Join(root, "etc/credstore")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("credstore: %v, %v", info, err)
	}
}
