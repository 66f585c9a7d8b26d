package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// mostSilences is how often a server is asked that does not answer.
	mostSilences = 2
	// longestBeginning is how long the beginning of an answer may take, all of a manifest.
	longestBeginning = 2 * time.Minute
	// longestPause is how long nothing may come of the rest.
	longestPause = time.Minute
)

// silenceError says that a server was waited for in vain.
type silenceError struct {
	host string
	long time.Duration
}

func (e *silenceError) Error() string {
	return fmt.Sprintf("%s gives no whole answer within %s", e.host, e.long)
}

// Timeout makes it a net.Error.
func (e *silenceError) Timeout() bool   { return true }
func (e *silenceError) Temporary() bool { return true }

// isSilence tells what was waited for in vain from what broke.
func isSilence(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout() && !errors.Is(err, context.DeadlineExceeded)
}

// hearing ends a request whose answer does not come.
type hearing struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	host   string
	timer  *time.Timer
	pause  time.Duration // how long each read of the body may take; 0 while all of it has a limit
}

func listen(request *http.Request) *hearing {
	h := &hearing{host: request.URL.Host}
	h.ctx, h.cancel = context.WithCancelCause(request.Context())
	return h
}

// within gives what comes next so long; 0 is any time.
func (h *hearing) within(long time.Duration) {
	if h.timer != nil {
		h.timer.Stop()
	}
	if long > 0 {
		h.timer = time.AfterFunc(long, func() { h.cancel(&silenceError{h.host, long}) })
	}
}

// end is why it ended: the silence, where that was the reason.
func (h *hearing) end(err error) error {
	h.within(0)
	h.cancel(nil)
	if silence := (*silenceError)(nil); errors.As(context.Cause(h.ctx), &silence) {
		return silence
	}
	return err
}

// body listens to the rest of an answer.
func (h *hearing) body(response *http.Response) {
	response.Body = &heardBody{response.Body, h}
}

type heardBody struct {
	io.ReadCloser
	heard *hearing
}

func (b *heardBody) Read(into []byte) (int, error) {
	if b.heard.pause > 0 {
		b.heard.within(b.heard.pause)
		defer b.heard.within(0)
	}
	n, err := b.ReadCloser.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.heard.end(err)
	}
	return n, err
}

func (b *heardBody) Close() error {
	err := b.ReadCloser.Close()
	_ = b.heard.end(nil)
	return err
}
