package edge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/edge/stable"
	"skyhaul/link/batch"
)

// ViewStore looks into the buffer in the folder store, whether a daemon has it
// open or not. Its schemas are those in the folder state, none if there is no
// such folder. Key is nil for a buffer that is not encrypted. Nothing is written.
func ViewStore(store, state string, key []byte) (*bufferstore.View, *Schemas, error) {
	s, err := viewSchemas(state)
	if err != nil {
		return nil, nil, err
	}
	v, err := bufferstore.OpenView(store, bufferstore.Options{Codec: batch.NewChunkCodec(s.Lookup), Key: key})
	if err != nil {
		return nil, nil, fmt.Errorf("look into buffer: %w", err)
	}
	return v, s, nil
}

func viewSchemas(state string) (*Schemas, error) {
	if _, err := os.Stat(state); errors.Is(err, fs.ErrNotExist) {
		return &Schemas{byID: map[point.SchemaID]*point.Schema{}}, nil
	}
	dir, err := stable.Open(state)
	if err != nil {
		return nil, err
	}
	return OpenSchemas(dir, slog.New(slog.DiscardHandler))
}

// keyBytes is the length of a buffer's key.
const keyBytes = 32

// BufferKey reads the key of a buffer: 32 bytes, or 64 hexadecimal digits. Name
// is a file or credential:NAME, which is one in the folder credentials.
func BufferKey(name, credentials string) ([]byte, error) {
	path := name
	if cred, ok := strings.CutPrefix(name, "credential:"); ok {
		if credentials == "" {
			return nil, fmt.Errorf("there is no %s: systemd gives credentials, by CREDENTIALS_DIRECTORY; elsewhere name a file", name)
		}
		path = filepath.Join(credentials, cred)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return nil, err
	}
	if len(b) == keyBytes {
		return b, nil
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != keyBytes {
		return nil, fmt.Errorf("%s is not a key: it holds 32 bytes, or 64 hexadecimal digits", path)
	}
	return key, nil
}
