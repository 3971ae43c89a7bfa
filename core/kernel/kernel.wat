;; The two inner loops of walrust: CRC-64/ISO over pages and files, and the SQLite WAL checksum over frames.
;;
;; Memory map (offsets are exported as globals so that TypeScript never repeats a number):
;;      0  128 bytes    reduction table of the CRC, 16 entries of 8 bytes
;;    128    8 bytes    CRC register, not yet inverted
;;    136    8 bytes    WAL checksum, s1 then s2
;;    144    8 bytes    result of $page_checksum: high word, then low word
;;  65536  128 KiB      what $scan found, 16 bytes a frame: page, commit size, checksum high, checksum low
;; 196608    1 MiB      bytes to work on (plus room for one more frame of the largest page)
;;
;; Everything is little-endian inside; what lies big-endian in a file is turned by $be32.
(module
  (memory (export "memory") 20)

  (global (export "REGISTER") i32 (i32.const 128))
  (global (export "WAL_SUM") i32 (i32.const 136))
  (global (export "RESULT") i32 (i32.const 144))
  (global (export "ENTRIES") i32 (i32.const 65536))
  (global (export "ENTRY_CAPACITY") i32 (i32.const 8192))
  (global (export "BUFFER") i32 (i32.const 196608))
  (global (export "BUFFER_SIZE") i32 (i32.const 1114112))

  ;; CRC-64/ISO is x^64 + x^4 + x^3 + x + 1. Shifting a 64-bit register v out completely multiplies it by
  ;; x^64 = x^4 + x^3 + x + 1, which in the reflected register is v ^ v>>1 ^ v>>3 ^ v>>4; the up to four bits
  ;; that fall off the right end are folded back by this table, indexed by the low four bits of v.
  (data (i32.const 0)
    "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\f5"
    "\00\00\00\00\00\00\00\5a" "\00\00\00\00\00\00\00\af"
    "\00\00\00\00\00\00\00\b4" "\00\00\00\00\00\00\00\41"
    "\00\00\00\00\00\00\00\ee" "\00\00\00\00\00\00\00\1b"
    "\00\00\00\00\00\00\00\d8" "\00\00\00\00\00\00\00\2d"
    "\00\00\00\00\00\00\00\82" "\00\00\00\00\00\00\00\77"
    "\00\00\00\00\00\00\00\6c" "\00\00\00\00\00\00\00\99"
    "\00\00\00\00\00\00\00\36" "\00\00\00\00\00\00\00\c3")

  (func $be32 (param $at i32) (result i32)
    (local $v i32)
    (local.set $v (i32.load (local.get $at)))
    (i32.or
      (i32.rotl (i32.and (local.get $v) (i32.const 0xff00ff00)) (i32.const 8))
      (i32.rotl (i32.and (local.get $v) (i32.const 0x00ff00ff)) (i32.const 24))))

  ;; Multiply by x^64 and reduce: what eight zero bytes would do to the register.
  (func $fold64 (param $v i64) (result i64)
    (i64.xor
      (i64.xor
        (i64.xor (local.get $v) (i64.shr_u (local.get $v) (i64.const 1)))
        (i64.xor (i64.shr_u (local.get $v) (i64.const 3)) (i64.shr_u (local.get $v) (i64.const 4))))
      (i64.load (i32.shl (i32.and (i32.wrap_i64 (local.get $v)) (i32.const 15)) (i32.const 3)))))

  ;; The same for fewer than 60 bits, already moved to the top of $w: nothing falls off, no table.
  (func $fold_top (param $w i64) (result i64)
    (i64.xor
      (i64.xor (local.get $w) (i64.shr_u (local.get $w) (i64.const 1)))
      (i64.xor (i64.shr_u (local.get $w) (i64.const 3)) (i64.shr_u (local.get $w) (i64.const 4)))))

  ;; One register step for four bytes.
  (func $crc_word (param $c i64) (param $word i32) (result i64)
    (local.set $c (i64.xor (local.get $c) (i64.extend_i32_u (local.get $word))))
    (i64.xor
      (i64.shr_u (local.get $c) (i64.const 32))
      (call $fold_top (i64.shl (local.get $c) (i64.const 32)))))

  ;; The register after $len bytes at $at.
  (func $crc_run (param $c i64) (param $at i32) (param $len i32) (result i64)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $len) (i32.const 0xfffffff8))))
    (block $words_done
      (loop $words
        (br_if $words_done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $c (call $fold64 (i64.xor (local.get $c) (i64.load (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $words)))
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $len) (i32.const 7))))
    (block $bytes_done
      (loop $bytes
        (br_if $bytes_done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $c (i64.xor (local.get $c) (i64.load8_u (local.get $at))))
        (local.set $c
          (i64.xor
            (i64.shr_u (local.get $c) (i64.const 8))
            (call $fold_top (i64.shl (local.get $c) (i64.const 56)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $bytes)))
    (local.get $c))

  ;; Carry the register on over $len bytes at $at.
  (func (export "crc") (param $at i32) (param $len i32)
    (i64.store (i32.const 128) (call $crc_run (i64.load (i32.const 128)) (local.get $at) (local.get $len))))

  ;; Checksum of one page: big-endian page number, then its bytes, top bit forced on. Writes two words to $out.
  (func $page_checksum (export "page_checksum") (param $page i32) (param $at i32) (param $len i32) (param $out i32)
    (local $c i64)
    (i32.store (i32.const 160) (local.get $page))
    (local.set $c (call $crc_word (i64.const -1) (call $be32 (i32.const 160))))
    (local.set $c (i64.xor (call $crc_run (local.get $c) (local.get $at) (local.get $len)) (i64.const -1)))
    (i32.store (local.get $out) (i32.or (i32.wrap_i64 (i64.shr_u (local.get $c) (i64.const 32))) (i32.const 0x80000000)))
    (i32.store offset=4 (local.get $out) (i32.wrap_i64 (local.get $c))))

  ;; Carry the WAL checksum at WAL_SUM on over $len bytes (a multiple of 8). $big: words are big-endian.
  (func $wal_sum (export "wal_sum") (param $at i32) (param $len i32) (param $big i32)
    (local $end i32) (local $a i32) (local $b i32)
    (local.set $a (i32.load (i32.const 136)))
    (local.set $b (i32.load (i32.const 140)))
    (local.set $end (i32.add (local.get $at) (local.get $len)))
    (if (local.get $big)
      (then
        (block $done
          (loop $next
            (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $a (i32.add (i32.add (local.get $a) (call $be32 (local.get $at))) (local.get $b)))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (local.set $b (i32.add (i32.add (local.get $b) (call $be32 (local.get $at))) (local.get $a)))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $next))))
      (else
        (block $done
          (loop $next
            (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $a (i32.add (i32.add (local.get $a) (i32.load (local.get $at))) (local.get $b)))
            (local.set $b (i32.add (i32.add (local.get $b) (i32.load offset=4 (local.get $at))) (local.get $a)))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br $next)))))
    (i32.store (i32.const 136) (local.get $a))
    (i32.store (i32.const 140) (local.get $b)))

  ;; Verify up to $count frames that lie one behind the other at $at. A frame counts if its salts are the given
  ;; ones and its running checksum matches; the first that fails ends the scan and leaves WAL_SUM at the last
  ;; good one. Returns how many were good; their entries lie at ENTRIES.
  (func (export "scan") (param $at i32) (param $count i32) (param $page_size i32)
                        (param $salt1 i32) (param $salt2 i32) (param $big i32) (result i32)
    (local $n i32) (local $out i32) (local $s1 i32) (local $s2 i32)
    (local.set $out (i32.const 65536))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $n) (local.get $count)))
        (br_if $done (i32.ne (call $be32 (i32.add (local.get $at) (i32.const 8))) (local.get $salt1)))
        (br_if $done (i32.ne (call $be32 (i32.add (local.get $at) (i32.const 12))) (local.get $salt2)))
        (local.set $s1 (i32.load (i32.const 136)))
        (local.set $s2 (i32.load (i32.const 140)))
        (call $wal_sum (local.get $at) (i32.const 8) (local.get $big))
        (call $wal_sum (i32.add (local.get $at) (i32.const 24)) (local.get $page_size) (local.get $big))
        (if (i32.or
              (i32.ne (i32.load (i32.const 136)) (call $be32 (i32.add (local.get $at) (i32.const 16))))
              (i32.ne (i32.load (i32.const 140)) (call $be32 (i32.add (local.get $at) (i32.const 20)))))
          (then
            (i32.store (i32.const 136) (local.get $s1))
            (i32.store (i32.const 140) (local.get $s2))
            (br $done)))
        (i32.store (local.get $out) (call $be32 (local.get $at)))
        (i32.store offset=4 (local.get $out) (call $be32 (i32.add (local.get $at) (i32.const 4))))
        (call $page_checksum
          (i32.load (local.get $out))
          (i32.add (local.get $at) (i32.const 24))
          (local.get $page_size)
          (i32.add (local.get $out) (i32.const 8)))
        (local.set $out (i32.add (local.get $out) (i32.const 16)))
        (local.set $at (i32.add (local.get $at) (i32.add (local.get $page_size) (i32.const 24))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (local.get $n)))
