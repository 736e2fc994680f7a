//! Paths that nobody means well, without end, always the same for the same seed.

/// A generator of numbers (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of a list.
    pub fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// What scanners ask for, and what tries to break out of a label.
const PIECES: [&str; 32] = [
    "wp-login.php",
    ".env",
    ".git/config",
    "..",
    ".",
    "",
    "%2e%2e",
    "%2F",
    "%",
    "%zz",
    "%ff%fe",
    "etc/passwd",
    "cgi-bin",
    "a;.;status=.=999;.;",
    ";.;endpoint=.=x;.;",
    "=.=",
    "cache.foo.bar",
    "tag.x;.y",
    "rbac.denied",
    "a.shadow_denied",
    "_rq_404",
    "_OTHER",
    "_UNMATCHED",
    "{id}",
    "{*path}",
    "*",
    "${jndi:ldap://x/a}",
    "<script>",
    "\"}",
    "users",
    "caf\u{e9}",
    "1e309",
];

/// Where the hostile go: some are told that there is nothing, some are answered.
const ROOTS: [&str; 4] = ["/cms/", "/shop/", "/api/v1/", "/api/v1/users/"];

/// A target of up to 40 pieces, or of 3000 random bytes; no spaces, line ends and NULs, which would
/// make it another request.
pub fn hostile(numbers: &mut Numbers) -> Vec<u8> {
    let mut path = numbers.one_of(&ROOTS).as_bytes().to_vec();
    match numbers.below(16) {
        0 => path.extend((0..numbers.below(3000)).map(|_| byte(numbers))),
        1 => path.extend((0..numbers.below(400)).flat_map(|_| *b"a/")),
        kind => {
            let most = if kind == 2 { 40 } else { 4 };
            for _ in 0..=numbers.below(most) {
                match numbers.below(4) {
                    0 => path.extend(format!("{:x}", numbers.next()).bytes()),
                    1 => path.extend((0..numbers.below(12)).map(|_| byte(numbers))),
                    _ => path.extend(numbers.one_of(&PIECES).bytes()),
                }
                path.push(numbers.one_of(b"//////?;&=.:"));
            }
        }
    }
    path
}

fn byte(numbers: &mut Numbers) -> u8 {
    loop {
        let byte = numbers.next() as u8;
        if !matches!(byte, 0..=b' ' | 0x7f) {
            return byte;
        }
    }
}
