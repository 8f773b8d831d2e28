package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"skyhaul/edge/point"
	"skyhaul/modbus"
)

// maxAnswers bounds what one pass reads of a log: a unit that takes no
// acknowledgement, and says so to none, must not hold the line for ever.
const maxAnswers = 256

// journal harvests a log.
type journal struct {
	*task
	l Log
	s journalState
}

func newJournal(h *Harvester, l Log) (*journal, error) {
	switch {
	case l.Layout.Size() == 0:
		return nil, errors.New("the layout has no fields, so that entries can't be told apart")
	case h.spec.Dialect.ItemBytes(modbus.FuncReadHoldingRegisters, l.Address) != -1:
		return nil, fmt.Errorf("address %d is none of a log in the unit's dialect", l.Address)
	}
	j := &journal{task: newTask(h, l.ID, l.Name, point.Events, l.Layout, l.Every), l: l, s: journalState{next: 1}}
	j.task.pass = j.once
	j.load(j.s.parse)
	return j, nil
}

// once reads answers until there is none with an entry.
func (j *journal) once(ctx context.Context) error {
	if err := j.unstick(ctx); err != nil {
		return err
	}
	for range maxAnswers {
		b, err := j.h.read(ctx, j.l.Address, 1)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if len(b) == 0 {
			return nil
		}
		if err := j.take(ctx, slices.Collect(slices.Chunk(b, j.layout.Size()))); err != nil {
			return err
		}
		if _, err := j.h.do(ctx, modbus.WriteCoil(j.l.Ack, true)); err != nil {
			return fmt.Errorf("acknowledge log: %w", err)
		}
		if err := j.store(journalState{next: j.s.next}); err != nil {
			return err
		}
	}
	return nil
}

// take makes durable what of an answer is new.
func (j *journal) take(ctx context.Context, entries [][]byte) error {
	digests := make([]digest, len(entries))
	for i, e := range entries {
		digests[i] = digestOf(e)
	}
	known := overlap(j.s.pending, digests)
	if known == len(entries) {
		return nil
	}
	next := j.s.next
	for _, e := range entries[known:] {
		j.put(next, e)
		next++
	}
	if err := j.commit(ctx); err != nil {
		return err
	}
	return j.store(journalState{next: next, pending: digests})
}

// store saves s and takes it over; where it can't be saved, nothing has happened.
func (j *journal) store(s journalState) error {
	if err := j.save(s.append(nil)); err != nil {
		return fmt.Errorf("save what was harvested: %w", err)
	}
	j.s = s
	return nil
}

// overlap returns with how many of the last of pending now begins.
func overlap(pending, now []digest) int {
	n := min(len(pending), len(now))
	for n > 0 && !slices.Equal(pending[len(pending)-n:], now[:n]) {
		n--
	}
	return n
}
