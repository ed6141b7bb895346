package sequencer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/sqldb"
)

// memoryLog is a revocationLog in memory. TestLog holds it to the same contract
// as the one in SQL. Every call is one atomic step, before which pause is
// called.
type memoryLog struct {
	pause func() fate
	memoryState
	incarnation int // another one after each restore
	epochs      uint64
	// The versions of tokens do not follow the epoch at all, or not before it
	// is open: see sabotage.
	sameVersions, lateVersions bool
}

// memoryState is all that a backup holds.
type memoryState struct {
	rows  []memoryRow       // committed
	state state             // without Oldest and Open, which follow from rows
	owner int               // the incarnation that numbered last
	users map[string]uint64 // versions; never changed in place
}

type memoryRow struct {
	row
	numbered bool
}

func newMemoryLog(pause func() fate) *memoryLog {
	return &memoryLog{pause: pause, memoryState: memoryState{state: state{Epoch: 1}, users: map[string]uint64{}}}
}

// insert commits rows.
func (l *memoryLog) insert(rows ...row) {
	for i := range rows {
		l.rows = append(l.rows, memoryRow{row: rows[i]})
	}
}

func (l *memoryLog) backup() memoryState {
	copied := l.memoryState
	copied.rows = slices.Clone(l.rows)
	return copied
}

// restore goes back to a backup, in another incarnation unless that is hidden.
func (l *memoryLog) restore(b memoryState, hidden bool) {
	l.memoryState = b
	l.rows = slices.Clone(b.rows)
	if !hidden {
		l.incarnation++
	}
}

// enter opens an epoch above seen. No two histories name one alike.
func (l *memoryLog) enter(seen uint64) {
	l.epochs++
	step := contract.EpochSpan + l.epochs*2654435761%contract.EpochSpan
	l.state.Epoch, l.state.Published, l.owner = seen+step, 0, l.incarnation
}

var errDatabase = errors.New("the database did not answer")

// do runs one step with the fate that its caller has.
func (l *memoryLog) do(step func()) error {
	f := l.pause()
	if f == notDone {
		return errDatabase
	}
	step()
	if f == doneUnsaid {
		return errDatabase
	}
	return nil
}

func (l *memoryLog) current() state {
	s := l.state
	s.Oldest, s.Moved = s.Last+1, l.owner != l.incarnation
	for i := range l.rows {
		if !l.rows[i].numbered {
			s.Open = true
		} else {
			s.Oldest = min(s.Oldest, l.rows[i].Number)
		}
	}
	return s
}

func (l *memoryLog) look(context.Context) (s state, err error) {
	err = l.do(func() { s = l.current() })
	return s, err
}

func (l *memoryLog) number(context.Context) (s state, rows []row, err error) {
	err = l.do(func() {
		moved := l.owner != l.incarnation
		if moved {
			l.enter(l.state.Epoch)
		}
		var open []*memoryRow
		for i := range l.rows {
			if !l.rows[i].numbered {
				open = append(open, &l.rows[i])
			}
		}
		slices.SortFunc(open, func(a, b *memoryRow) int {
			return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
		})
		for _, r := range open[:min(len(open), contract.MaxBatchEntries)] {
			l.state.Last++
			r.Number, r.numbered = l.state.Last, true
			rows = append(rows, r.row)
		}
		s = l.current()
		s.Moved, s.Given = moved, uint64(len(rows))
	})
	if err != nil {
		return state{}, nil, err
	}
	return s, rows, nil
}

func (l *memoryLog) numbersOf(_ context.Context, ids []string) (map[string]uint64, error) {
	found := map[string]uint64{}
	err := l.do(func() {
		for i := range l.rows {
			if l.rows[i].numbered && slices.Contains(ids, l.rows[i].ID) {
				found[l.rows[i].ID] = l.rows[i].Number
			}
		}
	})
	return found, err
}

func (l *memoryLog) batch(_ context.Context, from, to uint64) (b contract.Batch, err error) {
	err = l.do(func() {
		var rows []row
		for i := range l.rows {
			if r := &l.rows[i]; r.numbered && r.Number >= from && r.Number <= to {
				rows = append(rows, r.row)
			}
		}
		slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.Number, b.Number) })
		b = batchOf(l.current(), from, rows[:min(len(rows), contract.MaxBatchEntries)])
	})
	if err != nil {
		return contract.Batch{}, err
	}
	return b, nil
}

func (l *memoryLog) markPublished(_ context.Context, f flight) error {
	return l.do(func() {
		if l.state.Epoch == f.epoch && l.state.Published < f.last && l.state.Published >= f.first-1 {
			l.state.Published = f.last
		}
	})
}

func (l *memoryLog) rewind(_ context.Context, epoch, last uint64) error {
	return l.do(func() {
		if l.state.Epoch == epoch && l.state.Published > last {
			l.state.Published = last
		}
	})
}

func (l *memoryLog) openEpoch(_ context.Context, seen uint64) error {
	return l.do(func() {
		if l.state.Epoch <= seen {
			l.enter(seen)
		}
	})
}

func (l *memoryLog) prune(_ context.Context, now time.Time, below uint64) (deleted int, err error) {
	err = l.do(func() {
		keep := below
		for i := range l.rows {
			if l.rows[i].numbered && l.rows[i].ExpiresAt > sqldb.Micros(now) {
				keep = min(keep, l.rows[i].Number)
			}
		}
		before := len(l.rows)
		l.rows = slices.DeleteFunc(l.rows, func(r memoryRow) bool { return r.numbered && r.Number < keep })
		deleted = before - len(l.rows)
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}
