package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"skyhaul/edge/point"
	"skyhaul/modbus"
)

// maxAnswers bounds what one pass reads of a log.
const maxAnswers = 256

// errAgain: the unit confirms an acknowledgement, and does not act on it.
var errAgain = errors.New("the log comes again although it was acknowledged")

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

// once reads answers until there is none with an entry. What the unit confirms
// as acknowledged stays pending until an answer shows that it is forgotten.
func (j *journal) once(ctx context.Context) error {
	if err := j.unstick(ctx); err != nil {
		return err
	}
	confirmed, again := false, false
	for range maxAnswers {
		entries, err := j.answer(ctx)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return j.forget()
		}
		digests := digestsOf(entries)
		known := overlap(j.s.pending, digests)
		if confirmed && !again && known < len(j.s.pending) {
			known = 0 // it did forget: these are like the last ones, and others
		}
		again = known > 0
		if err := j.take(ctx, entries, digests, known); err != nil {
			return err
		}
		if confirmed && again {
			return errAgain
		}
		if _, err := j.h.do(ctx, modbus.WriteCoil(j.l.Ack, true)); err != nil {
			return fmt.Errorf("acknowledge log: %w", err)
		}
		confirmed = true
	}
	return nil
}

// answer reads entries; none where the log is empty, which some units say with
// an entry of zeros.
func (j *journal) answer(ctx context.Context) ([][]byte, error) {
	b, err := j.h.read(ctx, j.l.Address, 1)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return slices.DeleteFunc(slices.Collect(slices.Chunk(b, j.layout.Size())), blank), nil
}

func digestsOf(entries [][]byte) (all []digest) {
	for _, e := range entries {
		all = append(all, digestOf(e))
	}
	return all
}

// take makes durable what of an answer is behind the known entries.
func (j *journal) take(ctx context.Context, entries [][]byte, digests []digest, known int) error {
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

// forget notes that nothing is pending: the unit has an empty log.
func (j *journal) forget() error {
	if len(j.s.pending) == 0 {
		return nil
	}
	return j.store(journalState{next: j.s.next})
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
