package testkit

import (
	"os"
	"path/filepath"
	"time"
)

// MostIn measures the total size of the files in a folder, in bytes, until the returned
// function is called. That function returns the maximum.
func MostIn(dir string) func() int64 {
	var most int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var now int64
			_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
				if err == nil && info.Mode().IsRegular() {
					now += info.Size()
				}
				return nil
			})
			most = max(most, now)
			select {
			case <-end:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(end); <-ended; return most }
}
