package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"

	"skyhaul/modbus/serial"
)

func TestAPortInUseSaysWhatToDo(t *testing.T) {
	far, near, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	defer near.Close()
	p, err := serial.Open(serial.Config{Device: near.Name(), Baud: 9600})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	want := near.Name() + " is in use: if it is the daemon, it owns its lines: stop it (systemctl stop skyhaul), do this, and start it again"
	for _, args := range [][]string{
		{"read", "holding", "40001"},
		{"scan"},
		{"identify"},
		{"trace"},
	} {
		var out strings.Builder
		if code := run(t.Context(), append([]string{"modbus", args[0], "--device", near.Name()}, args[1:]...), &out, &out); code != 1 || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: exit %d, %s\nwant %s", args[0], code, out.String(), want)
		}
	}
}

func TestTheHolderOfAPortIsNamed(t *testing.T) {
	far, near, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	defer near.Close()
	other := exec.Command("sleep", "60")
	other.Stdin = near
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	if got := holder(near.Name()); !strings.HasPrefix(got, " by sleep (process ") {
		t.Errorf("holder of %s: %q, want sleep", near.Name(), got)
	}
}
