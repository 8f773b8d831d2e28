package modbus_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"skyhaul/modbus"
)

// openSSL starts an openssl command with a certificate, that of its authority
// and pipes to talk through.
func openSSL(t *testing.T, a authority, cert tls.Certificate, args ...string) (in io.Writer, out io.Reader) {
	t.Helper()
	program(t, "openssl")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	save := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cmd := exec.Command("openssl", append(args,
		"-cert", save("cert", "CERTIFICATE", cert.Certificate[0]), "-key", save("key", "PRIVATE KEY", key),
		"-CAfile", save("ca", "CERTIFICATE", a.cert.Raw), "-verify_return_error")...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return stdin, stdout
}

func TestOpenSSLUsesOurServer(t *testing.T) {
	t.Parallel()
	plant := newAuthority(t)
	addr := serveTLS(t, modbus.ServerTLS(plant.issue(t, time.Hour, nil), plant.pool()))
	viewer := plant.issue(t, time.Hour, roles(t, "viewer"))
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		in, out := openSSL(t, plant, viewer, "s_client", "-quiet", version, "-connect", addr, "-verify_ip", "127.0.0.1")
		in.Write([]byte{1, 2, 0, 0, 0, 6, 17, 3, 0, 10, 0, 1})
		in.Write([]byte{1, 3, 0, 0, 0, 6, 17, 6, 0, 10, 0, 7})
		want := []byte{1, 2, 0, 0, 0, 5, 17, 3, 2, 0, 1, 1, 3, 0, 0, 0, 3, 17, 0x86, 1}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(out, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got % X, %v, want % X", version, got, err, want)
		}
	}
}

// accepting is what s_server says when it listens.
var accepting = regexp.MustCompile(`ACCEPT (\S+:\d+)\n`)

func TestOpenSSLAnswersOurClient(t *testing.T) {
	t.Parallel()
	plant := newAuthority(t)
	in, out := openSSL(t, plant, plant.issue(t, time.Hour, nil), "s_server", "-Verify", "1", "-accept", "127.0.0.1:0")
	addr := until(t, out, accepting)
	operator := plant.issue(t, time.Hour, roles(t, "operator"))
	conn, err := (&tls.Dialer{Config: modbus.ClientTLS(operator, plant.pool(), "127.0.0.1")}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		until(t, out, regexp.MustCompile(regexp.QuoteMeta("\x00\x01\x00\x00\x00\x06\x11\x03\x00\x0A\x00\x01")))
		in.Write([]byte{0, 1, 0, 0, 0, 5, 17, 3, 2, 0, 42})
	}()
	a, err := modbus.NewClient(conn, modbus.TCP, modbus.LineTiming{}).Do(t.Context(), 17, read(t, modbus.FuncReadHoldingRegisters, 10, 1), 10*time.Second)
	if want := []byte{3, 2, 0, 42}; err != nil || !bytes.Equal(a.PDU, want) {
		t.Errorf("got % X, %v, want % X", []byte(a.PDU), err, want)
	}
}

// until reads on until what was read matches, and returns its last group.
func until(t *testing.T, r io.Reader, want *regexp.Regexp) string {
	var said []byte
	buf := make([]byte, 1024)
	for {
		n, err := r.Read(buf)
		said = append(said, buf[:n]...)
		if m := want.FindSubmatch(said); m != nil {
			return string(m[len(m)-1])
		}
		if err != nil {
			t.Errorf("%v in %q", err, said)
			return ""
		}
	}
}
