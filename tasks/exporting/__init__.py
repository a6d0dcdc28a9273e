"""Exports for other runtimes: conversion, and the check in a process of its own. Doesn't import Prefect."""
