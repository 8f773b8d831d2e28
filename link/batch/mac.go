package batch

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrMAC says that a document was not made under the site's key for this site.
var ErrMAC = errors.New("wrong mac")

// documentVersion is the first byte of every document.
const documentVersion = 1

// What a MAC is for, so that no document passes for another.
const (
	documentAck  = 'a'
	documentDown = 'd'
)

// macSize is what is kept of HMAC-SHA-256: half, the least that RFC 2104
// section 5 allows, as every byte is paid for.
const macSize = sha256.Size / 2

// SiteKey derives the key of a site from the hub's master key: HMAC-SHA-256 of
// the site id under the master.
func SiteKey(master []byte, site string) Key {
	m := hmac.New(sha256.New, master)
	m.Write([]byte(site))
	return Key(m.Sum(nil))
}

// seal appends the MAC to a document.
func (k Key) seal(p []byte, kind byte, site string) ([]byte, error) {
	if !ValidSite(site) {
		return nil, fmt.Errorf("site id %q is not of the form [a-z0-9-]{1,32}", site)
	}
	return append(p, k.mac(p, kind, site)...), nil
}

// open checks version and MAC of a document and returns what is between.
func (k Key) open(p []byte, kind byte, site string) ([]byte, error) {
	if len(p) < 1+macSize {
		return nil, fmt.Errorf("document of %d bytes: %w", len(p), ErrCorrupt)
	}
	if p[0] != documentVersion {
		return nil, fmt.Errorf("document version %d, want %d: %w", p[0], documentVersion, ErrVersion)
	}
	content := p[:len(p)-macSize]
	if !hmac.Equal(k.mac(content, kind, site), p[len(content):]) {
		return nil, ErrMAC
	}
	return content[1:], nil
}

// mac returns the first half of HMAC-SHA-256 over
//
//	kind u8 | length of the site id u8 | site id | document
func (k Key) mac(p []byte, kind byte, site string) []byte {
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte{kind, byte(len(site))})
	m.Write([]byte(site))
	m.Write(p)
	return m.Sum(nil)[:macSize]
}
