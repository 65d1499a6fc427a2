//! What the encodings mean to an independent decoder.

use super::vex::{self, Assembler, Code, Rm, gpr};
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

/// The instructions, one a line.
fn read(bytes: &[u8]) -> Vec<String> {
    let mut formatter = IntelFormatter::new();
    let mut lines = vec![];
    for instruction in Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE) {
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        lines.push(line);
    }
    lines
}

fn written(lanes: usize, f: impl FnOnce(&mut Assembler)) -> Vec<String> {
    let mut a = Assembler::new(lanes);
    f(&mut a);
    read(&a.bytes)
}

/// Instructions of two and of three operands, and their names with eight and with sixteen lanes.
const OF_THREE: &[(Code, &str, &str)] = &[
    (vex::ADD, "vaddps", "vaddps"),
    (vex::SUB, "vsubps", "vsubps"),
    (vex::MUL, "vmulps", "vmulps"),
    (vex::DIV, "vdivps", "vdivps"),
    (vex::MIN, "vminps", "vminps"),
    (vex::MAX, "vmaxps", "vmaxps"),
    (vex::AND, "vandps", "vpandd"),
    (vex::XOR, "vxorps", "vpxord"),
    (vex::PLUS, "vpaddd", "vpaddd"),
    (vex::MINUS, "vpsubd", "vpsubd"),
    (vex::FMA213, "vfmadd213ps", "vfmadd213ps"),
    (vex::FMA231, "vfmadd231ps", "vfmadd231ps"),
];
const OF_TWO: &[(Code, &str)] = &[(vex::LOAD, "vmovups"), (vex::SQRT, "vsqrtps"), (vex::TO_FLOAT, "vcvtdq2ps")];

/// Registers of which every bit of a number is set somewhere in every operand.
const EIGHT: &[[u8; 3]] = &[[0, 1, 2], [15, 0, 7], [3, 13, 8], [8, 7, 15], [12, 10, 5]];
const SIXTEEN: &[[u8; 3]] = &[[0, 1, 2], [31, 0, 7], [3, 30, 8], [8, 7, 29], [16, 21, 10], [21, 26, 16], [10, 16, 21]];

#[test]
fn registers_are_the_ones_meant() {
    for (lanes, letter, registers) in [(8, 'y', EIGHT), (16, 'z', SIXTEEN)] {
        for [a, b, c] in registers {
            for (code, of_eight, of_sixteen) in OF_THREE {
                let name = if lanes == 8 { of_eight } else { of_sixteen };
                let expected = format!("{name} {letter}mm{a},{letter}mm{b},{letter}mm{c}");
                assert_eq!(written(lanes, |x| x.wide(*code, *a, *b, Rm::Reg(*c))), [expected]);
            }
            if lanes == 16 {
                for (code, name) in [(vex::SCALE, "vscalefps"), (vex::ENTRY, "vpermps")] {
                    let expected = format!("{name} zmm{a},zmm{b},zmm{c}");
                    assert_eq!(written(lanes, |x| x.wide(code, *a, *b, Rm::Reg(*c))), [expected]);
                }
            }
            for (code, name) in OF_TWO {
                let expected = format!("{name} {letter}mm{a},{letter}mm{c}");
                assert_eq!(written(lanes, |x| x.wide(*code, *a, 0, Rm::Reg(*c))), [expected]);
            }
            for (kind, name) in [(2, "vpsrld"), (4, "vpsrad"), (6, "vpslld")] {
                let expected = format!("{name} {letter}mm{a},{letter}mm{b},17h");
                assert_eq!(written(lanes, |x| x.shift(kind, *a, *b, 0x17)), [expected]);
            }
            let expected = format!("vbroadcastss {letter}mm{a},xmm{c}");
            assert_eq!(written(lanes, |x| x.wide(vex::BROADCAST, *a, 0, Rm::Reg(*c))), [expected]);
            let name = if lanes == 8 { "vroundps" } else { "vrndscaleps" };
            let expected = format!("{name} {letter}mm{a},{letter}mm{c},9");
            assert_eq!(written(lanes, |x| x.wide_with(vex::ROUND, *a, 0, Rm::Reg(*c), 9)), [expected]);
        }
    }
}

#[test]
fn memory_is_the_one_meant() {
    let names =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
    for (lanes, letter) in [(8, 'y'), (16, 'z')] {
        for (base, name) in names.iter().enumerate() {
            let at = Rm::At(base as u8, 0x12340);
            assert_eq!(
                written(lanes, |x| x.wide(vex::ADD, 9, 6, at)),
                [format!("vaddps {letter}mm9,{letter}mm6,[{name}+12340h]")]
            );
            assert_eq!(
                written(lanes, |x| x.wide(vex::STORE, 9, 0, at)),
                [format!("vmovups [{name}+12340h],{letter}mm9")]
            );
            assert_eq!(
                written(lanes, |x| x.wide(vex::BROADCAST, 9, 0, at)),
                [format!("vbroadcastss {letter}mm9,[{name}+12340h]")]
            );
            if base != usize::from(gpr::RSP) {
                let sum = Rm::Sum(base as u8, gpr::RCX);
                assert_eq!(
                    written(lanes, |x| x.wide(vex::LOAD, 9, 0, sum)),
                    [format!("vmovups {letter}mm9,[{name}+rcx]")]
                );
                let far = Rm::Far(base as u8, gpr::RCX, 0x12340);
                assert_eq!(
                    written(lanes, |x| x.wide(vex::STORE, 9, 0, far)),
                    [format!("vmovups [{name}+rcx+12340h],{letter}mm9")]
                );
                let fetched = written(lanes, |x| x.fetch(base as u8, gpr::RCX, 0x12340));
                assert_eq!(fetched, [format!("prefetcht0 [{name}+rcx+12340h]")]);
            }
        }
    }
}

#[test]
fn masks_are_the_ones_meant() {
    let at = Rm::Sum(gpr::RBX, gpr::RCX);
    assert_eq!(written(8, |x| x.load_masked(3, at)), ["vmaskmovps ymm3,ymm15,[rbx+rcx]"]);
    assert_eq!(written(8, |x| x.store_masked(3, at)), ["vmaskmovps [rbx+rcx],ymm15,ymm3"]);
    assert_eq!(written(16, |x| x.load_masked(19, at)), ["vmovups zmm19{k2}{z},[rbx+rcx]"]);
    assert_eq!(written(16, |x| x.store_masked(19, at)), ["vmovups [rbx+rcx]{k2},zmm19"]);
    assert_eq!(written(16, |x| x.last_lanes(5)), ["mov rax,1Fh", "kmovw k2,eax"]);
    assert_eq!(written(16, |x| x.fold_masked(vex::MAX, vex::SUM, 20, 0)), ["vmaxps zmm13{k2},zmm13,zmm20"]);
    assert_eq!(
        written(16, |x| x.choose(1, 17, (30, Rm::Reg(2)), Rm::Reg(4), 25)),
        ["vcmpltps k1,zmm30,zmm2", "vblendmps zmm17{k1},zmm25,zmm4"]
    );
    assert_eq!(
        written(8, |x| x.choose(1, 7, (10, Rm::Reg(2)), Rm::Reg(4), 11)),
        ["vcmpltps ymm14,ymm10,ymm2", "vblendvps ymm7,ymm11,ymm4,ymm14"]
    );
}

#[test]
fn lanes_come_together_and_numbers_spread() {
    let halves = [
        "vextractf128 xmm14,ymm13,1",
        "vaddps xmm13,xmm13,xmm14",
        "vmovhlps xmm14,xmm13,xmm13",
        "vaddps xmm13,xmm13,xmm14",
        "vmovshdup xmm14,xmm13",
        "vaddps xmm13,xmm13,xmm14",
    ];
    let eight: Vec<&str> = halves.into_iter().chain(["vbroadcastss ymm13,xmm13"]).collect();
    assert_eq!(written(8, |x| x.across(vex::ADD, vex::SUM)), eight);
    let upper = ["vextractf64x4 ymm14,zmm13,1", "vaddps ymm13,ymm13,ymm14"];
    let sixteen: Vec<&str> = upper.into_iter().chain(halves).chain(["vbroadcastss zmm13,xmm13"]).collect();
    assert_eq!(written(16, |x| x.across(vex::ADD, vex::SUM)), sixteen);
    assert_eq!(written(8, |x| x.spread(4, gpr::RDX)), ["vmovd xmm4,edx", "vbroadcastss ymm4,xmm4"]);
    assert_eq!(written(16, |x| x.spread(20, gpr::RDX)), ["vpbroadcastd zmm20,edx"]);
}

#[test]
fn general_registers_are_the_ones_meant() {
    let all = |x: &mut Assembler| {
        x.push(gpr::R15);
        x.load(gpr::R8, gpr::RDI, 16);
        x.set(gpr::RDX, 0);
        x.add(gpr::R15, 64);
        x.add_at(gpr::RDI, 96, 4);
        x.repeat_below(gpr::RCX, 128, 1);
        x.set_at(gpr::RSP, 64, 5);
        x.repeat_at_below(gpr::RSP, 64, 7, 1);
        x.pop(gpr::RBX);
        x.zero_upper();
        x.ret();
    };
    let mut lines = written(8, all);
    let jump = lines.remove(6);
    assert!(jump.starts_with("jl "), "{jump}");
    assert_eq!(lines.remove(8), jump);
    assert_eq!(
        lines,
        [
            "push r15",
            "mov r8,[rdi+10h]",
            "mov rdx,0",
            "add r15,40h",
            "add qword ptr [rdi+60h],4",
            "cmp rcx,80h",
            "mov qword ptr [rsp+40h],5",
            "cmp qword ptr [rsp+40h],7",
            "pop rbx"
        ]
        .into_iter()
        .chain(["vzeroupper", "ret"])
        .collect::<Vec<_>>()
    );
    let framed = |x: &mut Assembler| {
        let places = x.enter();
        x.leave(places, 128);
    };
    assert_eq!(
        written(16, framed),
        [
            "mov rax,rsp",
            "add rsp,0FFFFFFFFFFFFFF78h",
            "and rsp,0FFFFFFFFFFFFFFC0h",
            "mov [rsp+80h],rax",
            "mov rsp,[rsp+80h]"
        ]
    );
}
