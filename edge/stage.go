package edge

import (
	"context"
	"sync"
)

// stage is a part of the daemon that stops as one: its goroutines run until
// stop, whatever becomes of the context they were started under.
type stage struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed func(error) // called with what a Run returned that wasn't asked to end
}

func newStage(ctx context.Context, failed func(error)) *stage {
	s := &stage{failed: failed}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

func (s *stage) start(run func(context.Context) error) {
	s.wg.Go(func() {
		if err := run(s.ctx); err != nil {
			s.failed(err)
		}
	})
}

// stop ends the stage and waits for it.
func (s *stage) stop() {
	s.cancel()
	s.wg.Wait()
}
