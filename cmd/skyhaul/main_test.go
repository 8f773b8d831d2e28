//go:build unix

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"skyhaul": main})
}

func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("socat"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err) // a script of it would be passed over
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// The race detector has every process linger for a second.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			for _, name := range []string{"PLC", "DOOR"} {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer ln.Close()
				env.Setenv(name, ln.Addr().String())
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"appears": appears,
			"code":    code,
			"listens": listens,
			"expand":  expand,
			"spoil":   spoil,
			"store":   makeStore,
			"term":    terminate,
			"until":   until,
		},
	})
}

// code runs skyhaul and checks its exit code: code 2 buffer ls
func code(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	err := ts.Exec("skyhaul", args[1:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// terminate has systemd's signal sent to what runs in the background.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		if err := cmd.Process.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
			ts.Check(err)
		}
	}
}

// appears waits until a file is there: appears ttyS7
func appears(ts *testscript.TestScript, _ bool, args []string) {
	for range 200 {
		if _, err := os.Lstat(ts.MkAbs(args[0])); err == nil {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("%s never came", args[0])
}

// listens waits until somebody listens at an address: listens 127.0.0.1:502
func listens(ts *testscript.TestScript, _ bool, args []string) {
	for range 200 {
		if conn, err := net.Dial("tcp", args[0]); err == nil {
			ts.Check(conn.Close())
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("nobody listens at %s", args[0])
}

// expand puts the script's variables into a file: expand skyhaul.toml
func expand(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// until runs skyhaul until what it prints matches: until 'state.*up' status
func until(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	var out string
	for range 200 {
		<-time.After(100 * time.Millisecond)
		ts.Exec("skyhaul", args[1:]...)
		if out = ts.ReadFile("stdout"); want.MatchString(out) {
			return
		}
	}
	ts.Fatalf("%q never came; at last:\n%s", args[0], out)
}
