// Album keeps photos of who is logged in.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
)

// provider has the endpoints that the issuer names.
var provider struct {
	Issuer   string `json:"issuer"`
	Auth     string `json:"authorization_endpoint"`
	Userinfo string `json:"userinfo_endpoint"`
}

// who is logged in, by session.
var (
	mu  sync.Mutex
	who = map[string]string{}
)

func main() {
	if err := getJSON(os.Getenv("OIDC_ISSUER")+"/.well-known/openid-configuration", "", &provider); err != nil {
		log.Fatal(err)
	}
	if provider.Issuer != os.Getenv("OIDC_ISSUER") {
		log.Fatalf("the issuer is %s", provider.Issuer)
	}
	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/", home)
	http.HandleFunc("/login", login)
	http.HandleFunc("/callback", callback)
	http.HandleFunc("/upload", upload)
	http.HandleFunc("/sign", sign)
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func random() string {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		log.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func user(r *http.Request) string {
	cookie, err := r.Cookie("session")
	if err != nil {
		return ""
	}
	mu.Lock()
	defer mu.Unlock()
	return who[cookie.Value]
}

func home(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "user: %s\n", user(r))
}

// login sends the browser to the provider.
func login(w http.ResponseWriter, r *http.Request) {
	state, verifier := random(), random()
	challenge := sha256.Sum256([]byte(verifier))
	http.SetCookie(w, &http.Cookie{Name: "login", Value: state + "." + verifier, Path: "/", HttpOnly: true})
	http.Redirect(w, r, provider.Auth+"?"+url.Values{
		"client_id": {os.Getenv("OIDC_CLIENT_ID")}, "redirect_uri": {os.Getenv("APP_URL") + "/callback"}, "response_type": {"code"}, "scope": {"openid email"}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode(), http.StatusFound)
}

// callback asks the provider who it is.
func callback(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie("login")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	parts := strings.Split(cookie.Value, ".")
	if len(parts) != 2 || r.FormValue("state") != parts[0] {
		http.Error(w, "another login", http.StatusBadRequest)
		return
	}
	request, err := http.NewRequest(http.MethodPost, os.Getenv("OIDC_TOKEN_ENDPOINT"), strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {r.FormValue("code")}, "redirect_uri": {os.Getenv("APP_URL") + "/callback"}, "code_verifier": {parts[1]},
	}.Encode()))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(os.Getenv("OIDC_CLIENT_ID"), os.Getenv("OIDC_CLIENT_SECRET"))
	var token struct {
		AccessToken string `json:"access_token"`
	}
	var info struct {
		Email string `json:"email"`
	}
	err = do(request, &token)
	if err == nil {
		err = getJSON(provider.Userinfo, token.AccessToken, &info)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	session := random()
	mu.Lock()
	who[session] = info.Email
	mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: session, Path: "/", HttpOnly: true})
	http.Redirect(w, r, "/", http.StatusFound)
}

// upload stores a photo, or says where the browser may send it.
func upload(w http.ResponseWriter, r *http.Request) {
	if user(r) == "" {
		http.Error(w, "log in first", http.StatusForbidden)
		return
	}
	if r.Method == http.MethodGet {
		own, _ := url.Parse(os.Getenv("APP_URL"))
		fmt.Fprint(w, presigned(http.MethodPut, "http://bucket.localhost:"+own.Port(), r.FormValue("key")))
		return
	}
	request, err := http.NewRequest(http.MethodPut, presigned(http.MethodPut, os.Getenv("S3_ENDPOINT"), r.FormValue("key")), r.Body)
	if err == nil {
		request.ContentLength = r.ContentLength
		err = do(request, nil)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

// sign allows who is logged in to get a photo.
func sign(w http.ResponseWriter, r *http.Request) {
	asked, err := url.Parse(r.Header.Get("X-Original-URL"))
	if err != nil || user(r) == "" {
		http.Error(w, "log in first", http.StatusForbidden)
		return
	}
	for name, values := range headers(strings.TrimPrefix(asked.Path, "/photos/")) {
		w.Header()[name] = values
	}
}

func getJSON(address, token string, into interface{}) error {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return do(request, into)
}

func do(request *http.Request, into interface{}) error {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %s", request.Method, request.URL.Path, response.Status, body)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(body, into)
	}
	return err
}
