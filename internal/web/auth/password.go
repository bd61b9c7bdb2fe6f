package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// maxSecret is the length in bytes of the longest password or token.
const maxSecret = 1024

// Parameters of the hashes that HashPassword makes: the second of OWASP's
// equivalent choices for argon2id, 19 MiB and two passes.
const (
	hashMemory  = 19456 // KiB
	hashPasses  = 2
	hashThreads = 1
	hashSalt    = 16 // bytes
	hashLength  = 32 // bytes
)

// Bounds of what a hash in the file may ask for. They include the defaults of
// the usual libraries and the memory-constrained choice of RFC 9106; what is
// beyond them, by mistake or not, would let one request take the machine's
// memory or seconds of its time.
const (
	maxMemory  = 64 << 10 // KiB
	maxPasses  = 10
	maxThreads = 4
	minSalt    = 8 // bytes
	minLength  = 16
	maxLength  = 64 // bytes, of salt and hash

	minCost, maxCost = 4, 14 // of bcrypt, where each step doubles the time
)

// Below these a hash is cheap to try passwords against.
const (
	weakMemory = 4096 // KiB
	weakCost   = 10
)

// tokenPrefix lets people and secret scanners see what a token is for.
const tokenPrefix = "dsiem_"

// NewToken returns a new random token, and the SHA-256 of it in hexadecimal
// digits, which is what the file holds. It reads 32 bytes from the operating
// system: no one can try out 2²⁵⁶ values, so a fast hash without salt is as
// good as a slow one here, and it can be looked up on every request.
func NewToken() (token, sha256hex string) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails, says its documentation
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}

// HashPassword returns an argon2id hash of a password as it stands in the file,
// in the PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$hash. People choose
// passwords that can be guessed, so trying one must cost time and memory. It
// fails if the password is empty or longer than 1024 bytes.
func HashPassword(password string) (string, error) {
	switch {
	case password == "":
		return "", errors.New("hashing a password: it is empty")
	case len(password) > maxSecret:
		return "", fmt.Errorf("hashing a password: it is longer than %d bytes", maxSecret)
	}
	var salt [hashSalt]byte
	_, _ = rand.Read(salt[:]) // never fails, says its documentation
	sum := argon2.IDKey([]byte(password), salt[:], hashPasses, hashMemory, hashThreads, hashLength)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt[:]), base64.RawStdEncoding.EncodeToString(sum)), nil
}

// passwordHash is the hash of a password and how it was made.
type passwordHash struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
	salt    []byte
	sum     []byte

	bcrypt []byte // the whole hash, if it is one of bcrypt
	weak   bool
}

var (
	argonForm  = regexp.MustCompile(`^\$argon2id\$v=([0-9]{1,9})\$m=([0-9]{1,18}),t=([0-9]{1,18}),p=([0-9]{1,18})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$`)
	bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)
)

// parsePassword reads a hash. Its errors say what is wrong without showing any
// of the text, which may be a password after all.
func parsePassword(text string) (*passwordHash, error) {
	switch {
	case strings.HasPrefix(text, "$argon2id$"):
		return parseArgon(text)
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		return parseBcrypt(text)
	case strings.HasPrefix(text, "$"):
		return nil, errors.New("is a hash of a kind that is not supported; use argon2id, which \"dsiem secret\" makes, or bcrypt")
	}
	return nil, errors.New("must be a hash, never the password itself; make one with \"dsiem secret\"")
}

func parseBcrypt(text string) (*passwordHash, error) {
	form := bcryptForm.FindStringSubmatch(text)
	if form == nil {
		return nil, errors.New("is not a whole bcrypt hash, $2b$, a cost of two digits, $ and 53 characters")
	}
	cost, err := strconv.Atoi(form[1])
	if err != nil || cost < minCost || cost > maxCost {
		return nil, fmt.Errorf("has the bcrypt cost %s; use %d to %d", form[1], minCost, maxCost)
	}
	return &passwordHash{bcrypt: []byte(text), weak: cost < weakCost}, nil
}

func parseArgon(text string) (*passwordHash, error) {
	form := argonForm.FindStringSubmatch(text)
	if form == nil {
		return nil, errors.New("is not a whole argon2id hash, $argon2id$v=19$m=…,t=…,p=…$salt$hash")
	}
	if form[1] != strconv.Itoa(argon2.Version) {
		return nil, fmt.Errorf("has the argon2 version %s; only %d is supported", form[1], argon2.Version)
	}
	var h passwordHash
	// At most 18 digits are always a number.
	memory, _ := strconv.ParseUint(form[2], 10, 64)
	passes, _ := strconv.ParseUint(form[3], 10, 64)
	threads, _ := strconv.ParseUint(form[4], 10, 64)
	switch {
	case threads < 1 || threads > maxThreads:
		return nil, fmt.Errorf("asks for p=%d threads; use 1 to %d", threads, maxThreads)
	case passes < 1 || passes > maxPasses:
		return nil, fmt.Errorf("asks for t=%d passes; use 1 to %d", passes, maxPasses)
	case memory < 8*threads || memory > maxMemory:
		return nil, fmt.Errorf("asks for m=%d KiB of memory; use %d to %d", memory, 8*threads, maxMemory)
	}
	h.memory, h.passes, h.threads = uint32(memory), uint32(passes), uint8(threads)
	h.weak = memory < weakMemory
	var saltErr, sumErr error
	h.salt, saltErr = base64.RawStdEncoding.DecodeString(form[5])
	h.sum, sumErr = base64.RawStdEncoding.DecodeString(form[6])
	switch {
	case saltErr != nil || len(h.salt) < minSalt || len(h.salt) > maxLength:
		return nil, fmt.Errorf("has a salt that is not %d to %d bytes in base64", minSalt, maxLength)
	case sumErr != nil || len(h.sum) < minLength || len(h.sum) > maxLength:
		return nil, fmt.Errorf("has a hash that is not %d to %d bytes in base64", minLength, maxLength)
	}
	return &h, nil
}

// matches reports whether the hash is one of a password. It takes milliseconds
// and, for argon2id, the memory that the hash asks for.
func (h *passwordHash) matches(password string) bool {
	if h.bcrypt != nil {
		return bcrypt.CompareHashAndPassword(h.bcrypt, []byte(password)) == nil
	}
	sum := argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, uint32(len(h.sum))) //nolint:gosec // at most maxLength
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}
