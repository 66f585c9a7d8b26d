// Standin is what images of MinIO and Dex have, as far as libre uses them: servers that check
// nothing, and programs that do nothing.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "minio":
		log.Fatal(http.ListenAndServe(":9000", http.HandlerFunc(object)))
	case "dex":
		log.Fatal(http.ListenAndServe(":5556", provider()))
	case "mc":
		if _, err := http.Get("http://127.0.0.1:9000"); err != nil {
			log.Fatal(err)
		}
	case "wget":
		if _, err := http.Get(os.Args[len(os.Args)-1]); err != nil {
			log.Fatal(err)
		}
	}
}

var (
	mu      sync.Mutex
	objects = map[string][]byte{}
)

// object keeps objects. It tells the host that was asked for.
func object(w http.ResponseWriter, r *http.Request) {
	mu.Lock()
	defer mu.Unlock()
	w.Header().Set("X-Asked", r.Host)
	if r.Method == http.MethodPut {
		objects[r.URL.Path], _ = io.ReadAll(r.Body)
		return
	}
	content, there := objects[r.URL.Path]
	if !there {
		http.NotFound(w, r)
	}
	_, _ = w.Write(content)
}

// provider logs everybody in, below the issuer of Dex's configuration.
func provider() http.Handler {
	config, err := os.ReadFile("/etc/dex/config.yaml")
	if err != nil {
		log.Fatal(err)
	}
	_, issuer, _ := strings.Cut(string(config), "issuer: ")
	issuer, _, _ = strings.Cut(issuer, "\n")
	path := issuer[strings.Index(issuer, "/-/"):]
	answer := func(what map[string]string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(what)
		}
	}
	http.HandleFunc(path+"/.well-known/openid-configuration", answer(map[string]string{
		"issuer": issuer, "authorization_endpoint": issuer + "/auth", "userinfo_endpoint": issuer + "/userinfo",
	}))
	http.HandleFunc(path+"/auth", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.FormValue("redirect_uri")+"?code=1&state="+r.FormValue("state"), http.StatusFound)
	})
	http.HandleFunc(path+"/token", answer(map[string]string{"access_token": "1"}))
	http.HandleFunc(path+"/userinfo", answer(map[string]string{"email": "from-an-image@example.org"}))
	return http.DefaultServeMux
}
