package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// secret reads a file of at most 64 KiB that the configuration names.
func (d *Daemon) secret(where, name string) ([]byte, error) {
	path := d.path(name)
	info, err := os.Stat(path)
	if err != nil && path != name && d.opts.Credentials == "" {
		return nil, fmt.Errorf("%s: there is no %s: systemd gives credentials, by CREDENTIALS_DIRECTORY; elsewhere name a file", where, name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if info.Size() > 64<<10 {
		return nil, fmt.Errorf("%s: %s holds %d bytes: that is no secret", where, path, info.Size())
	}
	return os.ReadFile(path)
}

// path resolves credential:NAME.
func (d *Daemon) path(name string) string {
	if cred, ok := strings.CutPrefix(name, "credential:"); ok {
		return filepath.Join(d.opts.Credentials, cred)
	}
	return name
}
