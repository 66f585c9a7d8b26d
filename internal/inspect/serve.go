package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Serve answers questions until the input ends. An answer calls end if it reaches a limit
// and cannot be interrupted: end sends the error, and the program exits.
func Serve[Q, A any](in io.Reader, out io.Writer, reply func(about Q, end func(error)) (A, error)) error {
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	end := func(met error) {
		_ = answers.Encode(answer[A]{Error: met.Error(), Last: true})
		os.Exit(1)
	}
	for {
		var asked question[Q]
		if err := questions.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := os.Setenv("TMPDIR", asked.Temporary); err != nil {
			return err
		}
		var got answer[A]
		var err error
		if got.Is, err = reply(asked.About, end); err != nil {
			got.Error = err.Error()
		}
		if err := answers.Encode(got); err != nil {
			return err
		}
	}
}

// Interval is how often limits are checked. It is a compromise: some 20 MB can be written
// between two checks.
const Interval = 10 * time.Millisecond

// CheckMemory gives an error if this process uses more memory than the limit, in bytes.
func CheckMemory(limit int64) error {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var pages int64
	// https://docs.kernel.org/filesystems/proc.html: size, resident, …
	if _, err := fmt.Sscanf(string(text), "%d %d", new(int64), &pages); err != nil {
		return err
	}
	if pages*int64(os.Getpagesize()) > limit {
		return fmt.Errorf("it takes more memory than the limit of %d bytes: raise limits.memory in libre.yaml", limit)
	}
	return nil
}

// WatchMemory checks the memory of this process until stop is called. At the limit, in
// bytes, it calls end.
func WatchMemory(limit int64, end func(error)) (stop func()) {
	done := make(chan struct{})
	go func() {
		for ticker := time.NewTicker(Interval); ; {
			select {
			case <-done:
				ticker.Stop()
				return
			case <-ticker.C:
				if err := CheckMemory(limit); err != nil {
					end(err)
					return
				}
			}
		}
	}()
	return func() { close(done) }
}
