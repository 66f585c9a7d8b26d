package ui

import (
	"strings"
	"testing"
	"time"
)

// meter has the numbers of sent and received bytes.
type meter struct{ sent, received int64 }

func (m *meter) Sent() int64     { return m.sent }
func (m *meter) Received() int64 { return m.received }

func TestSummaryHasBytesWithTheirRateAndTheTimeThatIsLeft(t *testing.T) {
	f := newFake(terminal)
	f.width = 100
	p := f.newProgress()
	m := &meter{}
	p.Measure(m)
	p.SetPace(0.5)
	p.Expect("a", 10*time.Second)
	p.Set("a", State{Phase: Building})
	p.draw()
	expect(t, "the longest image", f.said(), "a  building  0s\n1 running, 0s, about 10s left\n")
	p.Expect("b", 20*time.Second)
	p.Set("b", State{Phase: Waiting, Message: "for a"})
	f.now = f.now.Add(2 * time.Second)
	m.sent, m.received = 6<<20, 1000
	p.draw()
	expect(t, "half of all", f.said(), erased(2)+"a  building  2s\nb  waiting for a\n1 running, 1 waiting, 2s, about 20s left; sent 6.0 MiB, 3.0 MiB/s\n")
	p.Set("a", State{Phase: Published})
	f.now = f.now.Add(10 * time.Second)
	m.received += 2 << 20
	p.draw()
	expect(t, "what ended", f.said(), erased(3)+"a  published in 2.0s\nb  waiting for a\n1 done, 1 waiting, 12s, about 20s left; sent 6.0 MiB; received 2.0 MiB, 205 KiB/s\n")
	p.Set("c", State{Phase: Building})
	p.draw()
	expect(t, "nothing is known of an image", f.said(), erased(2)+"b  waiting for a\nc  building  0s\n1 done, 1 running, 1 waiting, 12s; sent 6.0 MiB; received 2.0 MiB, 205 KiB/s\n")
}

// An image that is published after it was built is counted once.
func TestImageThatStartsAgainIsCountedOnce(t *testing.T) {
	f := newFake(terminal)
	p := f.newProgress()
	for _, image := range []string{"a", "b", "c", "d"} {
		p.Set(image, State{Phase: Done})
		p.Set(image, State{Phase: Waiting, Message: "to be published"})
	}
	p.Set("a", State{Phase: Published})
	p.draw()
	if said := f.said(); !strings.Contains(said, "\n1 done, 3 waiting, 0s\n") {
		t.Errorf("%s", said)
	}
}

func erased(lines int) string { return strings.Repeat("\x1b[A\r\x1b[K", lines) }
