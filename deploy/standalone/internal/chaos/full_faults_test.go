package chaos

import (
	"strings"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// fullDatabase has PostgreSQL refuse to write anything as it does when its disk
// is full; what it holds can be read.
const (
	fullDatabase = `CREATE OR REPLACE FUNCTION chaos_full() RETURNS trigger LANGUAGE plpgsql AS $f$
		BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $f$;
	DO $d$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
		EXECUTE format('CREATE TRIGGER chaos_full BEFORE INSERT OR UPDATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION chaos_full()', t);
	END LOOP; END $d$`
	roomyDatabase = `DROP FUNCTION IF EXISTS chaos_full() CASCADE`
)

// fullFaults are disks and tables of descriptors without room. What a broker
// without room does is a test of the sequencer.
func fullFaults() []scenario {
	redis := func(w *world, command string) func() error {
		return func() error {
			_, err := w.AskRedis(w.ctx, command)
			return err
		}
	}
	return []scenario{
		{name: "F42 I1 I3 I6: PostgreSQL's disk is full", short: true, run: func(w *world) {
			w.fault("PostgreSQL's disk is full", fault{
				begin: func() error { return w.SQL(w.ctx, fullDatabase) },
				end: func() error {
					if w.SQL(w.ctx, insertRevocations(1)) == nil {
						w.Error("the database took a row, so this proves nothing")
					}
					return w.SQL(w.ctx, roomyDatabase)
				},
				last: enough,
			})
		}},
		// Redis refuses to write as it does after an error of its append-only file
		// or over its maxmemory; gateway-1 has nothing but what it holds then.
		{name: "F42 F19 I1 I2: Redis refuses to write while a gateway hangs on it", run: func(w *world) {
			w.needRedis()
			over := w.recorder.Begin("gateway-1 is cut off from NATS")
			w.must(w.links("gateway-1", w.brokerNames(), cut)())
			w.wait(2 * time.Second)
			w.fault("redis refuses to write", fault{
				begin: redis(w, "CONFIG SET min-replicas-to-write 1"), end: redis(w, "CONFIG SET min-replicas-to-write 0"), blind: []int{0}, last: enough,
			})
			w.must(w.links("gateway-1", w.brokerNames(), heal)())
			over()
		}},
		{name: "F43 I1 I2 I9: a gateway has no file descriptors left", run: func(w *world) {
			w.withoutFiles(w.Gateways[0], []int{0})
		}},
		{name: "F43 I1 I3 I9: an auth-service has no file descriptors left", run: func(w *world) {
			w.withoutFiles(w.Auths[0], nil)
		}},
	}
}

// withoutFiles has a process lose its connections when it cannot open others.
func (w *world) withoutFiles(p *cluster.Process, blind []int) {
	w.Helper()
	var restore func() error
	w.fault(p.Name+" has no file descriptors left", fault{
		begin: func() (err error) {
			if restore, err = p.LimitFiles(3); err != nil {
				return err
			}
			for _, to := range append(w.brokerNames(), "redis", "postgres") {
				if l := w.Link(p.Name, to); l != nil {
					l.Reset()
				}
			}
			return nil
		},
		end: func() error {
			if !strings.Contains(p.Log(1<<20), "too many open files") {
				w.Errorf("%s did not miss any, so this proves nothing", p.Name)
			}
			return restore()
		}, blind: blind, last: enough,
	})
}
