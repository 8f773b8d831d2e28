package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// TLSOptions says whom DialTLS trusts and who we are. Its zero value trusts the
// system's authorities and shows no certificate.
type TLSOptions struct {
	CAFile     string // PEM; "" stands for the system's authorities
	CertFile   string // PEM, our certificate with its chain; "" for none
	KeyFile    string // PEM
	ServerName string // the name to verify; "" stands for the host dialled
	// Hybrid offers the post-quantum key exchange X25519MLKEM768 too. It adds
	// 2.3 kB to each connect.
	Hybrid bool
	Time   func() time.Time // for certificates' validity; nil stands for time.Now
}

// DialTLS speaks TLS 1.3 on what dial opens to the broker at host:port. It reads
// the files now; the returned dialer keeps session tickets in memory from one
// connection to the next.
func DialTLS(dial Dialer, addr string, o TLSOptions) (Dialer, error) {
	c, err := o.config(addr)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		tc := tls.Client(conn, c)
		if err := tc.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("broker %s: tls handshake: %w", addr, err)
		}
		return tc, nil
	}, nil
}

func (o TLSOptions) config(addr string) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("broker address: %w", err)
	}
	c := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ServerName:         or(o.ServerName, host),
		Time:               o.Time,
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
		// Go begins with records of one segment, each 22 B dearer.
		DynamicRecordSizingDisabled: true,
	}
	if !o.Hybrid {
		c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	if c.RootCAs, err = authorities(o.CAFile); err != nil {
		return nil, err
	}
	if o.CertFile == "" && o.KeyFile == "" {
		return c, nil
	}
	cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("client certificate %q with key %q: %w", o.CertFile, o.KeyFile, err)
	}
	c.Certificates = []tls.Certificate{cert}
	return c, nil
}

// authorities returns nil, which stands for the system's, where file is "".
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls authorities: %s: %w", file, errors.New("no certificate in PEM form found"))
	}
	return pool, nil
}
