package modbus

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"unicode/utf8"
)

// SecurityPort is where Modbus/TCP Security is served: TCP framing inside TLS.
// MODBUS/TCP Security V21.
const SecurityPort = 802

// roleOID is the extension of a certificate that carries its role. MODBUS/TCP
// Security V21.
var roleOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 50316, 802, 1}

// Role returns the role that a certificate gives its owner; "", which is the
// null role, if it names none. It fails on more than one, and on one that is no
// UTF8String or an empty one.
func Role(cert *x509.Certificate) (role string, err error) {
	seen := false
	for _, e := range cert.Extensions {
		if !e.Id.Equal(roleOID) {
			continue
		}
		if seen {
			return "", fmt.Errorf("certificate of %s: more than one role", cert.Subject)
		}
		seen = true
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(e.Value, &v)
		if err != nil || len(rest) > 0 || v.Tag != asn1.TagUTF8String || len(v.Bytes) == 0 || !utf8.Valid(v.Bytes) {
			return "", fmt.Errorf("certificate of %s: the role % X is no text", cert.Subject, e.Value)
		}
		role = string(v.Bytes)
	}
	return role, nil
}

// ServerTLS returns what a server of Modbus/TCP Security asks of clients: TLS
// 1.2 or newer, and a certificate that one of clientCAs vouches for and whose
// role can be read. With nil nobody is let in.
//
// The handshake belongs before [Serve], with a time limit; then
//
//	role, err := Role(conn.ConnectionState().PeerCertificates[0])
//
// tells who asks, and the server declines what that role may not ask for with
// [IllegalFunction].
func ServerTLS(cert tls.Certificate, clientCAs *x509.CertPool) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool(clientCAs),
		MinVersion:   tls.VersionTLS12,
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := Role(s.PeerCertificates[0])
			return err
		},
	}
}

// ClientTLS returns what a client of Modbus/TCP Security asks of the server
// called serverName, a host name or an IP address: TLS 1.2 or newer, and a
// certificate for that name that one of rootCAs vouches for; with nil no server
// is trusted. The handshake belongs before [NewClient].
func ClientTLS(cert tls.Certificate, rootCAs *x509.CertPool, serverName string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		RootCAs:      pool(rootCAs),
		ServerName:   serverName,
		MinVersion:   tls.VersionTLS12,
	}
}

// pool keeps the authorities of the operating system out, which crypto/tls
// takes nil for: a plant has its own.
func pool(p *x509.CertPool) *x509.CertPool {
	if p == nil {
		return x509.NewCertPool()
	}
	return p
}
