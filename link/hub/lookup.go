package hub

import (
	"context"

	"skyhaul/edge/point"
)

// maxSchemas bounds what is kept in memory; beyond, all is forgotten and asked
// of the sink again.
const maxSchemas = 1024

// lookup finds schemas for the decoder, one batch at a time.
type lookup struct {
	sink  Sink
	known map[siteSchema]*point.Schema

	ctx  context.Context
	site string
	err  error // why the sink could not be asked
}

type siteSchema struct {
	site string
	id   point.SchemaID
}

// begin prepares for a batch of a site.
func (l *lookup) begin(ctx context.Context, site string) { l.ctx, l.site, l.err = ctx, site, nil }

func (l *lookup) find(id point.SchemaID) (*point.Schema, bool) {
	key := siteSchema{l.site, id}
	if s, ok := l.known[key]; ok {
		return s, true
	}
	s, ok, err := l.sink.Schema(l.ctx, l.site, id)
	if err != nil {
		l.err = err
		return nil, false
	}
	if !ok {
		return nil, false
	}
	if l.known == nil || len(l.known) >= maxSchemas {
		l.known = make(map[siteSchema]*point.Schema)
	}
	l.known[key] = s
	return s, true
}
