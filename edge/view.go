package edge

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
)

// ViewStore looks into the buffer in dir, whether a daemon has it open or not.
func ViewStore(dir string, s *Schemas, log *slog.Logger) (*bufferstore.View, error) {
	o := bufferstore.Options{Codec: batch.NewChunkCodec(s.Lookup), Logger: log}
	v, err := bufferstore.OpenView(filepath.Join(dir, "buffer"), o)
	if err != nil {
		return nil, fmt.Errorf("look into buffer: %w", err)
	}
	return v, nil
}
